//! From the collected marks to the bytes of a PDF/A with a structure tree (krilla).

use super::super::ReportError;
use super::pen::{Child, Mark, Node, PAGE_HEIGHT, PAGE_WIDTH, Pen, Picture, Role, Sheet};
use krilla::color::rgb;
use krilla::configure::{Accessibility, Archival, Configuration, ConfigurationBuilder};
use krilla::destination::XyzDestination;
use krilla::geom::{Point, Size, Transform};
use krilla::image::{BitsPerComponent, CustomImage, Image, ImageColorspace};
use krilla::metadata::Metadata;
use krilla::num::NormalizedF32;
use krilla::outline::{Outline, OutlineNode};
use krilla::page::PageSettings;
use krilla::paint::{Fill, FillRule, Stroke, StrokeDash};
use krilla::surface::Surface;
use krilla::tagging::{
    Artifact, ArtifactType, ContentTag, Identifier, SpanTag, TableHeaderScope, Tag, TagGroup,
    TagKind, TagTree,
};
use krilla::{Document, SerializeSettings};
use std::num::NonZeroU16;

/// Draws all pages.
///
/// krilla holds the file to PDF/A-2a and PDF/UA-1 and gives no file when one of their rules is
/// broken. No text is known that breaks one, but texts come from other people's headers: a report
/// that is no archive file is better than none, so the rules are dropped for a second attempt.
pub fn document(pen: &Pen, metadata: &Metadata) -> Result<Vec<u8>, ReportError> {
    archival(pen, metadata).or_else(|_| draw_document(pen, metadata, Configuration::default()))
}

/// The same, with the rules.
pub fn archival(pen: &Pen, metadata: &Metadata) -> Result<Vec<u8>, ReportError> {
    let configuration = ConfigurationBuilder::new()
        .with_archival_validator(Archival::A2_A)
        .with_accessibility_validator(Accessibility::UA1)
        .finish()
        .map_err(|error| ReportError::Pdf(format!("{error:?}")))?;
    draw_document(pen, metadata, configuration)
}

fn draw_document(
    pen: &Pen,
    metadata: &Metadata,
    configuration: Configuration,
) -> Result<Vec<u8>, ReportError> {
    let failed = |what: &str| ReportError::Pdf(what.to_owned());
    let mut document = Document::new_with(SerializeSettings {
        configuration,
        ..SerializeSettings::default()
    });
    document.set_metadata(metadata.clone());

    let mut identifiers = Vec::with_capacity(pen.sheets.len());
    for sheet in &pen.sheets {
        let settings =
            PageSettings::from_wh(PAGE_WIDTH, PAGE_HEIGHT).ok_or_else(|| failed("page size"))?;
        let mut page = document.start_page_with(settings);
        let mut surface = page.surface();
        identifiers.push(draw_sheet(&mut surface, sheet)?);
        surface.finish();
        page.finish();
    }

    let mut outline = Outline::new();
    for (title, page, y) in &pen.outline {
        let target = XyzDestination::new(*page, Point::from_xy(0.0, *y));
        outline.push_child(OutlineNode::new(title.clone(), target));
    }
    document.set_outline(outline);

    let mut tree = TagTree::new();
    if let Some(root) = pen.nodes.first() {
        for child in &root.children {
            if let Child::Node(node) = child
                && let Some(group) = group(pen, *node, &identifiers)
            {
                tree.push(group);
            }
        }
    }
    document.set_tag_tree(tree);
    document
        .finish()
        .map_err(|error| ReportError::Pdf(format!("{error:?}")))
}

/// The identifier of each mark of the page that belongs to the structure.
fn draw_sheet(
    surface: &mut Surface,
    sheet: &Sheet,
) -> Result<Vec<Option<Identifier>>, ReportError> {
    let artifact = || ContentTag::Artifact(Artifact::with_kind(ArtifactType::Layout));
    for mark in &sheet.under {
        surface.start_tagged(artifact());
        let drawn = draw(surface, mark);
        surface.end_tagged();
        drawn?;
    }
    let mut identifiers = Vec::with_capacity(sheet.marks.len());
    for (mark, structured) in &sheet.marks {
        let tag = match (structured, mark) {
            (false, _) => artifact(),
            (true, Mark::Text { .. }) => ContentTag::Span(SpanTag::empty()),
            (true, _) => ContentTag::Other,
        };
        let identifier = surface.start_tagged(tag);
        let drawn = draw(surface, mark);
        surface.end_tagged();
        drawn?;
        identifiers.push(structured.then_some(identifier));
    }
    Ok(identifiers)
}

/// The node with its children; none where it has none.
fn group(pen: &Pen, node: usize, identifiers: &[Vec<Option<Identifier>>]) -> Option<TagGroup> {
    let Node { role, children } = pen.nodes.get(node)?;
    let mut group = TagGroup::new(kind(role));
    for child in children {
        match child {
            Child::Node(node) => {
                if let Some(child) = self::group(pen, *node, identifiers) {
                    group.push(child);
                }
            }
            Child::Mark(page, at) => {
                let identifier = identifiers.get(*page).and_then(|marks| marks.get(*at));
                if let Some(Some(identifier)) = identifier {
                    group.push(*identifier);
                }
            }
        }
    }
    (!group.children.is_empty()).then_some(group)
}

fn kind(role: &Role) -> TagKind {
    match role {
        Role::Section => Tag::Section.into(),
        Role::Heading(level, title) => {
            let level = NonZeroU16::new(*level).unwrap_or(NonZeroU16::MIN);
            Tag::Hn(level, Some(title.clone())).into()
        }
        Role::Paragraph => Tag::P.into(),
        Role::Table => Tag::Table.into(),
        Role::Row => Tag::TR.into(),
        Role::HeadCell => Tag::TH(TableHeaderScope::Column).into(),
        Role::Cell => Tag::TD.into(),
        Role::Figure(words) => Tag::Figure(Some(words.clone())).into(),
    }
}

fn draw(surface: &mut Surface, mark: &Mark) -> Result<(), ReportError> {
    match mark {
        Mark::Text {
            x,
            baseline,
            runs,
            style,
        } => {
            surface.set_fill(Some(fill(style.colour)));
            surface.set_stroke(None);
            for run in runs {
                surface.draw_glyphs(
                    Point::from_xy(x + run.from * style.size, *baseline),
                    &run.glyphs,
                    run.font.clone(),
                    &run.text,
                    style.size,
                    false,
                );
            }
        }
        Mark::Fill { path, colour } => {
            surface.set_stroke(None);
            surface.set_fill(Some(fill(*colour)));
            surface.draw_path(path);
        }
        Mark::Stroke {
            path,
            colour,
            width,
            dashed,
        } => {
            surface.set_fill(None);
            surface.set_stroke(Some(Stroke {
                paint: rgb_of(*colour).into(),
                width: *width,
                dash: dashed.then(|| StrokeDash {
                    array: vec![2.0, 2.0],
                    offset: 0.0,
                }),
                ..Stroke::default()
            }));
            surface.draw_path(path);
        }
        Mark::Picture { area, picture } => {
            let failed = |what: &str| ReportError::Pdf(what.to_owned());
            let expected = u64::from(picture.width)
                * u64::from(picture.height)
                * if picture.grey { 1 } else { 3 };
            if picture.bytes.len() as u64 != expected {
                return Err(failed("a picture has another size than it says"));
            }
            let image = Image::from_custom(picture.clone(), false).map_err(ReportError::Pdf)?;
            let size =
                Size::from_wh(area.width(), area.height()).ok_or_else(|| failed("picture size"))?;
            surface.push_transform(&Transform::from_translate(area.left(), area.top()));
            surface.draw_image(image, size);
            surface.pop();
        }
    }
    Ok(())
}

fn rgb_of(colour: [u8; 3]) -> rgb::Color {
    let [r, g, b] = colour;
    rgb::Color::new(r, g, b)
}

fn fill(colour: [u8; 3]) -> Fill {
    Fill {
        paint: rgb_of(colour).into(),
        opacity: NormalizedF32::ONE,
        rule: FillRule::NonZero,
    }
}

impl CustomImage for Picture {
    fn color_channel(&self) -> &[u8] {
        &self.bytes
    }

    fn alpha_channel(&self) -> Option<&[u8]> {
        None
    }

    fn bits_per_component(&self) -> BitsPerComponent {
        BitsPerComponent::Eight
    }

    fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    fn icc_profile(&self) -> Option<&[u8]> {
        None
    }

    fn color_space(&self) -> ImageColorspace {
        if self.grey {
            ImageColorspace::Luma
        } else {
            ImageColorspace::Rgb
        }
    }
}
