//! XML for audit messages: elements, attributes, codes, and nothing that breaks either.

use super::Code;

/// Longest text of an attribute. The trail's own texts are shorter; a title may be hostile.
const LONGEST: usize = 1024;

/// XML as it grows.
#[derive(Default)]
pub(super) struct Xml(pub(super) String);

impl Xml {
    pub(super) fn open(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.start(name, attributes);
        self.0.push('>');
    }

    pub(super) fn empty(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.start(name, attributes);
        self.0.push_str("/>");
    }

    fn start(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.0.push('<');
        self.0.push_str(name);
        for (name, value) in attributes {
            self.0.push(' ');
            self.0.push_str(name);
            self.0.push_str("=\"");
            self.text(value);
            self.0.push('"');
        }
    }

    pub(super) fn close(&mut self, name: &str) {
        self.0.push_str("</");
        self.0.push_str(name);
        self.0.push('>');
    }

    pub(super) fn element(&mut self, name: &str, text: &str) {
        self.open(name, &[]);
        self.text(text);
        self.close(name);
    }

    pub(super) fn code(&mut self, name: &str, (value, system, meaning): Code) {
        self.empty(
            name,
            &[
                ("csd-code", value),
                ("codeSystemName", system),
                ("originalText", meaning),
            ],
        );
    }

    /// Text with what means something to XML escaped, and without what XML cannot hold.
    pub(super) fn text(&mut self, text: &str) {
        for c in text.chars().take(LONGEST) {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                c if c.is_control() => self.0.push(' '),
                '\u{FFFE}' | '\u{FFFF}' => self.0.push(' '),
                c => self.0.push(c),
            }
        }
    }
}
