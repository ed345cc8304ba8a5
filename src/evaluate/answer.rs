//! What the box said of one study, beside the truth: one row of `answers.csv`.

use crate::base::ident::Class;

/// How a study ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    Analysed,
    /// The box refused it, with a reason. Running it again gives the same.
    NotAnalysed,
    /// It could not be read, or the program failed. A later run tries again.
    #[default]
    Failed,
}

/// A value in a row.
trait Cell: Sized {
    fn text(&self) -> String;
    fn read(text: &str) -> Option<Self>;
}

impl Cell for String {
    fn text(&self) -> String {
        self.clone()
    }
    fn read(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

/// Values whose own text is read back to the last digit.
macro_rules! plain_cells {
    ($($kind:ty),*) => { $(
        impl Cell for $kind {
            fn text(&self) -> String {
                self.to_string()
            }
            fn read(text: &str) -> Option<Self> {
                text.parse().ok()
            }
        }
    )* };
}
plain_cells!(f64, u64, u32, bool);

impl<T: Cell> Cell for Option<T> {
    fn text(&self) -> String {
        self.as_ref().map_or_else(String::new, Cell::text)
    }
    fn read(text: &str) -> Option<Self> {
        if text.is_empty() {
            Some(None)
        } else {
            T::read(text).map(Some)
        }
    }
}

impl Cell for State {
    fn text(&self) -> String {
        match self {
            Self::Analysed => "analysed",
            Self::NotAnalysed => "not_analysed",
            Self::Failed => "failed",
        }
        .into()
    }
    fn read(text: &str) -> Option<Self> {
        [Self::Analysed, Self::NotAnalysed, Self::Failed]
            .into_iter()
            .find(|state| state.text() == text)
    }
}

/// A struct that is a row: its fields are the columns, in their order.
macro_rules! row {
    ($(#[$about:meta])* pub struct $name:ident { $($(#[$doc:meta])* pub $field:ident: $kind:ty,)* }) => {
        $(#[$about])*
        pub struct $name {
            $($(#[$doc])* pub $field: $kind,)*
        }

        impl $name {
            pub const COLUMNS: &'static [&'static str] = &[$(stringify!($field)),*];

            #[must_use]
            pub fn cells(&self) -> Vec<String> {
                vec![$(self.$field.text()),*]
            }

            /// `None` when there are not as many cells as columns, or one makes no sense.
            #[must_use]
            pub fn from_cells(cells: &[String]) -> Option<Self> {
                if cells.len() != Self::COLUMNS.len() {
                    return None;
                }
                let mut cells = cells.iter();
                Some(Self {
                    $($field: <$kind as Cell>::read(cells.next()?)?,)*
                })
            }
        }
    };
}

row! {
    /// One study. Flat, because it is a row; empty cells are `None`.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct Answer {
        /// Names the study within its cohort; a resumed run knows by it what is done.
        pub id: String,
        pub path: String,
        pub seed: Option<u64>,
        pub source: String,
        pub split: String,
        /// Studies with the same text are of one person. A hash, never an ID.
        pub patient: String,
        pub truth: String,

        pub maker: String,
        pub scanner: String,
        pub kernel: String,
        /// "soft", "sharp", or nothing where the name does not tell.
        pub sharpness: String,
        pub thickness_mm: Option<f64>,
        pub spacing_mm: Option<f64>,
        pub pixel_mm: Option<f64>,
        /// Width of the picture.
        pub fov_mm: Option<f64>,
        pub slices: u32,
        pub age: Option<f64>,
        pub sex: String,
        pub contrast: bool,
        pub mas: Option<f64>,

        pub state: State,
        /// A word for programs and a sentence, where there is no answer.
        pub code: String,
        pub reason: String,
        pub logit_control: Option<f64>,
        pub logit_covid19: Option<f64>,
        pub logit_cap: Option<f64>,
        /// Calibrated, as the box shows them.
        pub p_control: Option<f64>,
        pub p_covid19: Option<f64>,
        pub p_cap: Option<f64>,
        /// control, covid19, cap, undetermined, or nothing.
        pub decision: String,
        pub because: String,
        pub distance: Option<f64>,
        pub distance_limit: Option<f64>,
        pub involvement_percent: Option<f64>,
        pub right_percent: Option<f64>,
        pub left_percent: Option<f64>,
        pub lungs_ml: Option<f64>,
        /// Codes of the acquisition warnings.
        pub warnings: String,

        /// With the difference set to zero inside the lungs.
        pub blanked_control: Option<f64>,
        pub blanked_covid19: Option<f64>,
        pub blanked_cap: Option<f64>,
        /// With the difference set to zero outside the lungs.
        pub inside_control: Option<f64>,
        pub inside_covid19: Option<f64>,
        pub inside_cap: Option<f64>,

        /// Through the first network in fp32.
        pub fp32_control: Option<f64>,
        pub fp32_covid19: Option<f64>,
        pub fp32_cap: Option<f64>,
        pub fp32_decision: String,
        pub fp32_involvement_percent: Option<f64>,

        pub seconds: f64,
        /// File below the folder of the answers.
        pub picture: String,
        pub model_sha256: String,
    }
}

/// All three or nothing.
fn three(a: Option<f64>, b: Option<f64>, c: Option<f64>) -> Option<[f64; 3]> {
    let three = [a?, b?, c?];
    three.iter().all(|v| v.is_finite()).then_some(three)
}

impl Answer {
    /// 0, 1, 2 for control, covid19, cap.
    #[must_use]
    pub fn class(&self) -> Option<usize> {
        Class::ALL.iter().position(|c| c.word() == self.truth)
    }

    #[must_use]
    pub fn p(&self) -> Option<[f64; 3]> {
        three(self.p_control, self.p_covid19, self.p_cap)
    }

    /// What the second network said before calibration, as probabilities.
    #[must_use]
    pub fn raw(&self) -> Option<[f64; 3]> {
        let logits = three(self.logit_control, self.logit_covid19, self.logit_cap)?;
        let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let e = logits.map(|v| (v - top).exp());
        let sum: f64 = e.iter().sum();
        Some(e.map(|v| v / sum))
    }

    #[must_use]
    pub fn blanked(&self) -> Option<[f64; 3]> {
        three(self.blanked_control, self.blanked_covid19, self.blanked_cap)
    }

    #[must_use]
    pub fn inside(&self) -> Option<[f64; 3]> {
        three(self.inside_control, self.inside_covid19, self.inside_cap)
    }

    #[must_use]
    pub fn fp32(&self) -> Option<[f64; 3]> {
        three(self.fp32_control, self.fp32_covid19, self.fp32_cap)
    }

    /// The class that was decided; `None` for "cannot decide" and "not analysed".
    #[must_use]
    pub fn decided(&self) -> Option<usize> {
        Class::ALL.iter().position(|c| c.word() == self.decision)
    }

    /// The class with the highest probability, decided or not.
    #[must_use]
    pub fn highest(&self) -> Option<usize> {
        self.p().map(|p| highest(&p))
    }

    /// A wrong word, the one thing that must not happen.
    #[must_use]
    pub fn is_wrong(&self) -> bool {
        self.decided().is_some() && self.decided() != self.class()
    }
}

/// Index of the largest; the first of equals.
#[must_use]
pub fn highest(p: &[f64; 3]) -> usize {
    let mut best = 0;
    for (k, v) in p.iter().enumerate() {
        if *v > p[best] {
            best = k;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_read_back_to_the_last_digit() {
        let row = Answer {
            id: "a, \"b\"".into(),
            seed: Some(u64::MAX),
            state: State::NotAnalysed,
            contrast: true,
            p_cap: Some(1.0 / 3.0),
            seconds: 0.1 + 0.2,
            ..Answer::default()
        };
        assert_eq!(Answer::from_cells(&row.cells()), Some(row.clone()));
        assert_eq!(Answer::COLUMNS.first(), Some(&"id"));
        let mut cells = row.cells();
        cells.pop();
        assert_eq!(Answer::from_cells(&cells), None);
    }

    #[test]
    fn a_row_knows_what_it_says() {
        let row = Answer {
            truth: "covid19".into(),
            decision: "cap".into(),
            p_control: Some(0.1),
            p_covid19: Some(0.2),
            p_cap: Some(0.7),
            logit_control: Some(0.0),
            logit_covid19: Some(0.0),
            logit_cap: Some(2.0f64.ln()),
            ..Answer::default()
        };
        assert_eq!(
            (row.class(), row.decided(), row.highest()),
            (Some(1), Some(2), Some(2))
        );
        assert!(row.is_wrong());
        let raw = row.raw().unwrap();
        assert!((raw[2] - 0.5).abs() < 1e-12 && (raw[0] - 0.25).abs() < 1e-12);
        assert_eq!(row.blanked(), None);
        let undecided = Answer {
            decision: "undetermined".into(),
            ..row
        };
        assert!(!undecided.is_wrong() && undecided.decided().is_none());
    }
}
