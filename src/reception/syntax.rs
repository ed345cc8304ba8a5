//! The transfer syntaxes that we accept, in the order in which we choose among them.
//!
//! The list is ours and explicit: what cannot be decoded here is not accepted, whatever the
//! libraries below would let through. Uncompressed comes first, since it costs nothing to decode;
//! then the lossless codecs by decoding time; the retired big-endian one last.

use serde::{Deserialize, Serialize};

/// A transfer syntax that this box can decode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TransferSyntax {
    ExplicitLittle,
    ImplicitLittle,
    JpegLosslessSv1,
    JpegLossless,
    Rle,
    Jpeg2000Lossless,
    Jpeg2000,
    Deflated,
    ExplicitBig,
    /// Of secondary captures alone, which are kept and not read: eight bits are no CT.
    JpegBaseline,
}

use TransferSyntax as S;

/// Secondary Capture Image Storage; its multi-frame kinds stand below it.
const SECONDARY_CAPTURE: &str = "1.2.840.10008.5.1.4.1.1.7";

/// All that an image may come in, most wanted first.
pub const TRANSFER_SYNTAXES: [TransferSyntax; 9] = [
    S::ExplicitLittle,
    S::ImplicitLittle,
    S::JpegLosslessSv1,
    S::JpegLossless,
    S::Rle,
    S::Jpeg2000Lossless,
    S::Jpeg2000,
    S::Deflated,
    S::ExplicitBig,
];

impl TransferSyntax {
    #[must_use]
    pub const fn uid(self) -> &'static str {
        match self {
            S::ExplicitLittle => "1.2.840.10008.1.2.1",
            S::ImplicitLittle => "1.2.840.10008.1.2",
            S::JpegLosslessSv1 => "1.2.840.10008.1.2.4.70",
            S::JpegLossless => "1.2.840.10008.1.2.4.57",
            S::Rle => "1.2.840.10008.1.2.5",
            S::Jpeg2000Lossless => "1.2.840.10008.1.2.4.90",
            S::Jpeg2000 => "1.2.840.10008.1.2.4.91",
            S::Deflated => "1.2.840.10008.1.2.1.99",
            S::ExplicitBig => "1.2.840.10008.1.2.2",
            S::JpegBaseline => "1.2.840.10008.1.2.4.50",
        }
    }

    /// The syntax with this UID, if it is one of ours. Padding is taken off.
    #[must_use]
    pub fn from_uid(uid: &str) -> Option<Self> {
        let uid = uid.trim_end_matches(['\0', ' ']);
        let known = TRANSFER_SYNTAXES.into_iter().chain([S::JpegBaseline]);
        known.into_iter().find(|s| s.uid() == uid)
    }

    /// Our choice among what a peer proposes in one presentation context, of this SOP class.
    #[must_use]
    pub fn choose<'a>(sop_class: &str, proposed: impl Iterator<Item = &'a str>) -> Option<Self> {
        let capture = sop_class.starts_with(SECONDARY_CAPTURE);
        let known = TRANSFER_SYNTAXES.into_iter();
        let mut known = known.chain(capture.then_some(S::JpegBaseline));
        let proposed: Vec<Self> = proposed.filter_map(Self::from_uid).collect();
        known.find(|syntax| proposed.contains(syntax))
    }

    /// Whether pixels stand in the data set as they are, so that another uncompressed syntax is
    /// only another way of writing the same.
    #[must_use]
    pub const fn is_native(self) -> bool {
        matches!(
            self,
            S::ExplicitLittle | S::ImplicitLittle | S::ExplicitBig | S::Deflated
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CT: &str = "1.2.840.10008.5.1.4.1.1.2";

    #[test]
    fn our_preference_beats_the_peers_order() {
        let chosen = TransferSyntax::choose(
            CT,
            [
                "1.2.840.113619.5.2",
                "1.2.840.10008.1.2.4.90",
                "1.2.840.10008.1.2\0",
                "1.2.840.10008.1.2.1",
            ]
            .into_iter(),
        );
        assert_eq!(chosen, Some(S::ExplicitLittle));
    }

    #[test]
    fn what_cannot_be_decoded_is_never_chosen() {
        // JPEG Extended 12 bit, JPEG-LS, HTJ2K, the private one of GE.
        let proposed = [
            "1.2.840.10008.1.2.4.51",
            "1.2.840.10008.1.2.4.80",
            "1.2.840.10008.1.2.4.201",
            "1.2.840.113619.5.2",
        ];
        assert_eq!(TransferSyntax::choose(CT, proposed.into_iter()), None);
    }

    #[test]
    fn eight_bits_are_taken_of_secondary_captures_alone() {
        let baseline = || [S::JpegBaseline.uid()].into_iter();
        assert_eq!(TransferSyntax::choose(CT, baseline()), None);
        for kind in ["", ".1", ".4"] {
            let class = format!("{SECONDARY_CAPTURE}{kind}");
            let chosen = TransferSyntax::choose(&class, baseline());
            assert_eq!(chosen, Some(S::JpegBaseline));
        }
        let both = [S::JpegBaseline.uid(), S::ImplicitLittle.uid()].into_iter();
        let chosen = TransferSyntax::choose(SECONDARY_CAPTURE, both);
        assert_eq!(chosen, Some(S::ImplicitLittle));
    }

    #[test]
    fn every_syntax_finds_itself() {
        for syntax in TRANSFER_SYNTAXES.into_iter().chain([S::JpegBaseline]) {
            assert_eq!(TransferSyntax::from_uid(syntax.uid()), Some(syntax));
        }
    }
}
