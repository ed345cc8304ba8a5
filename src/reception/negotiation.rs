//! The negotiation of an association: a pure judgement of the request.
//!
//! It is ours, on dicom-ul's PDUs: the library's own acceptor takes the first syntax that the peer
//! names, knows no address, and names itself in our place. What is accepted: Verification, and
//! every SOP class that may be a storage class, so that no console marks a study as failed because
//! its dose report or its presentation state was not wanted.

use super::commitment::{STORAGE_COMMITMENT, SYNTAXES};
use super::event::Why;
use super::header::{IMPLEMENTATION_UID, IMPLEMENTATION_VERSION};
use super::settings::{Clearance, Settings};
use super::store::Room;
use super::syntax::TransferSyntax;
use dicom_ul::pdu::{
    AbortRQServiceProviderReason as AbortReason, AssociationAC, AssociationRJ, AssociationRJResult,
    AssociationRJServiceProviderASCEReason as AsceReason,
    AssociationRJServiceProviderPresentationReason as PresentationReason,
    AssociationRJServiceUserReason as UserReason, AssociationRJSource, AssociationRQ,
    PresentationContextProposed, PresentationContextResult,
    PresentationContextResultReason as ContextReason, RequestorRoles, UserVariableItem,
};
use std::net::IpAddr;

const APPLICATION_CONTEXT: &str = "1.2.840.10008.3.1.1.1";
const VERIFICATION: &str = "1.2.840.10008.1.1";

/// The storage classes of the standard stand below this ...
pub const STORAGE_ROOT: &str = "1.2.840.10008.5.1.4.1.1.";

/// ... with these exceptions.
pub const OTHER_STORAGE: [&str; 9] = [
    "1.2.840.10008.5.1.1.29",
    "1.2.840.10008.5.1.1.30",
    "1.2.840.10008.5.1.4.34.7",
    "1.2.840.10008.5.1.4.34.10",
    "1.2.840.10008.5.1.4.38.1",
    "1.2.840.10008.5.1.4.39.1",
    "1.2.840.10008.5.1.4.43.1",
    "1.2.840.10008.5.1.4.44.1",
    "1.2.840.10008.5.1.4.45.1",
];

/// What an accepted presentation context is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    Verification,
    Storage,
    Commitment,
}

/// An accepted presentation context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Context {
    pub(super) id: u8,
    pub(super) service: Service,
    pub(super) sop_class: String,
    pub(super) syntax: TransferSyntax,
}

/// What the negotiation ends with.
#[derive(Debug)]
pub(super) enum Verdict {
    Accept(Box<Accepted>),
    Reject(AssociationRJ, Why),
    Abort(AbortReason, Why),
}

#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) answer: AssociationAC,
    pub(super) contexts: Vec<Context>,
    pub(super) clearance: Clearance,
    pub(super) calling: String,
    /// Which contexts were not accepted, in words; empty where all were.
    pub(super) declined: String,
    pub(super) peer_max_pdu: u32,
}

fn permanent(reason: UserReason) -> AssociationRJ {
    AssociationRJ {
        result: AssociationRJResult::Permanent,
        source: AssociationRJSource::ServiceUser(reason),
    }
}

/// "Local limit exceeded": the peer may come again.
pub(super) fn congestion() -> AssociationRJ {
    AssociationRJ {
        result: AssociationRJResult::Transient,
        source: AssociationRJSource::ServiceProviderPresentation(
            PresentationReason::LocalLimitExceeded,
        ),
    }
}

/// A title without its padding. Case counts.
pub(super) fn title(text: &str) -> String {
    text.trim_matches(['\0', ' ']).to_owned()
}

/// Judges an association request. Whether there is a free place is for `listen`.
pub(super) fn negotiate(
    request: &AssociationRQ,
    settings: &Settings,
    peer: IpAddr,
    room: Room,
) -> Verdict {
    let (calling, called) = (
        title(&request.calling_ae_title),
        title(&request.called_ae_title),
    );
    if request.protocol_version & 1 == 0 {
        let rejection = AssociationRJ {
            result: AssociationRJResult::Permanent,
            source: AssociationRJSource::ServiceProviderASCE(
                AsceReason::ProtocolVersionNotSupported,
            ),
        };
        let words = "protocol version".to_owned();
        return Verdict::Reject(rejection, Why::ProtocolError(words));
    }
    if title(&request.application_context_name) != APPLICATION_CONTEXT {
        let words = "application context".to_owned();
        let rejection = permanent(UserReason::ApplicationContextNameNotSupported);
        return Verdict::Reject(rejection, Why::ProtocolError(words));
    }
    if called != settings.ae_title {
        let rejection = permanent(UserReason::CalledAETitleNotRecognized);
        return Verdict::Reject(rejection, Why::BadCalledTitle);
    }
    let Some(clearance) = settings.access.clearance(&calling, peer) else {
        let rejection = permanent(UserReason::CallingAETitleNotRecognized);
        return Verdict::Reject(rejection, Why::BadCallingTitle);
    };
    match room {
        Room::Take => {}
        Room::Stop => return Verdict::Reject(congestion(), Why::DiskFull),
        Room::NotYet => return Verdict::Reject(congestion(), Why::NotReady),
    }
    let mut seen = [false; 256];
    for proposed in &request.presentation_contexts {
        let id = usize::from(proposed.id);
        if proposed.id % 2 == 0 || std::mem::replace(&mut seen[id], true) {
            let words = format!("presentation context id {id}");
            return Verdict::Abort(AbortReason::InvalidPduParameter, Why::ProtocolError(words));
        }
    }
    let mut contexts = Vec::new();
    let mut results = Vec::new();
    let mut declined = Declined::default();
    for proposed in &request.presentation_contexts {
        let sop_class = title(&proposed.abstract_syntax);
        let commitment = sop_class == STORAGE_COMMITMENT;
        let suits = |syntax: &&str| {
            let known = TransferSyntax::from_uid(syntax);
            !commitment || known.is_some_and(|known| SYNTAXES.contains(&known))
        };
        let proposals = proposed.transfer_syntaxes.iter().map(String::as_str);
        let syntax = TransferSyntax::choose(&sop_class, proposals.filter(suits));
        let terms = &settings.commitment;
        let service = match service(&sop_class) {
            // A context that is good for nothing is better refused than accepted.
            Some(Service::Commitment)
                if !terms.may_ask(&calling, clearance) && !terms.may_report(&calling) =>
            {
                None
            }
            service => service,
        };
        // Only our archive calls as the provider, of commitment.
        let provider = commitment && settings.commitment.may_report(&calling);
        let reason = match (service, syntax) {
            // A peer that wants to be served only: nobody here calls on this association.
            (Some(_), _)
                if !provider && role(request, &sop_class).is_some_and(|roles| !roles.scu) =>
            {
                ContextReason::UserRejection
            }
            (None, _) => ContextReason::AbstractSyntaxNotSupported,
            (Some(_), None) => ContextReason::TransferSyntaxesNotSupported,
            (Some(service), Some(syntax)) => {
                contexts.push(Context {
                    id: proposed.id,
                    service,
                    sop_class,
                    syntax,
                });
                ContextReason::Acceptance
            }
        };
        if reason != ContextReason::Acceptance {
            declined.note(proposed, &reason);
        }
        results.push(PresentationContextResult {
            id: proposed.id,
            reason,
            // Of a rejected context this is not significant, but peers want to find something.
            transfer_syntax: syntax
                .unwrap_or(TransferSyntax::ImplicitLittle)
                .uid()
                .to_owned(),
        });
    }
    let answer = AssociationAC {
        protocol_version: 1,
        calling_ae_title: request.calling_ae_title.clone(),
        called_ae_title: request.called_ae_title.clone(),
        application_context_name: APPLICATION_CONTEXT.to_owned(),
        presentation_contexts: results,
        user_variables: user_variables(request, &contexts, settings, &calling),
    };
    Verdict::Accept(Box::new(Accepted {
        answer,
        contexts,
        clearance,
        calling,
        declined: declined.words(),
        peer_max_pdu: request
            .user_variables
            .iter()
            .find_map(|item| match item {
                UserVariableItem::MaxLength(length) => Some(*length),
                _ => None,
            })
            .unwrap_or(0),
    }))
}

/// The contexts that were not accepted, for whoever sets up the console.
#[derive(Default)]
struct Declined {
    words: Vec<String>,
    more: usize,
}

/// Contexts that are named; the others are counted.
const MOST_NAMED: usize = 4;

/// Transfer syntaxes that are named of each.
const MOST_SYNTAXES: usize = 4;

impl Declined {
    fn note(&mut self, proposed: &PresentationContextProposed, why: &ContextReason) {
        if self.words.len() == MOST_NAMED {
            self.more += 1;
            return;
        }
        let class = shown(&title(&proposed.abstract_syntax));
        self.words.push(match why {
            ContextReason::AbstractSyntaxNotSupported => format!("{class} is not offered"),
            ContextReason::TransferSyntaxesNotSupported => {
                let syntaxes = proposed.transfer_syntaxes.iter().take(MOST_SYNTAXES);
                let syntaxes: Vec<String> = syntaxes.map(|uid| shown(&title(uid))).collect();
                format!("{class} in {} alone", syntaxes.join(", "))
            }
            _ => format!("{class} in a role that is not ours"),
        });
    }

    fn words(&self) -> String {
        if self.words.is_empty() {
            return String::new();
        }
        let more = match self.more {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        format!("declined: {}{more}", self.words.join("; "))
    }
}

/// A UID as a peer sent it, fit to be shown.
fn shown(uid: &str) -> String {
    let uid: String = uid.chars().take(64).collect();
    uid.escape_default().to_string()
}

/// The roles that the peer proposes for a class; none where it keeps to the default, which is SCU.
fn role(request: &AssociationRQ, sop_class: &str) -> Option<RequestorRoles> {
    request.user_variables.iter().find_map(|item| match item {
        UserVariableItem::ScuScpRoleSelectionSubItem(class, roles) if title(class) == sop_class => {
            Some(*roles)
        }
        _ => None,
    })
}

/// Our side of the user information.
///
/// Roles are answered once for each accepted class that they were proposed for. What is left out
/// says no in the words of the standard: the asynchronous window (then it is 1/1), the extended
/// negotiation of a SOP class, and the user identity, which is not looked at.
fn user_variables(
    request: &AssociationRQ,
    contexts: &[Context],
    settings: &Settings,
    calling: &str,
) -> Vec<UserVariableItem> {
    let mut items = vec![
        UserVariableItem::MaxLength(settings.max_pdu),
        UserVariableItem::ImplementationClassUID(IMPLEMENTATION_UID.to_owned()),
        UserVariableItem::ImplementationVersionName(IMPLEMENTATION_VERSION.to_owned()),
    ];
    let mut answered: Vec<&str> = Vec::new();
    for context in contexts {
        let class = context.sop_class.as_str();
        if let Some(roles) = role(request, class)
            && !answered.contains(&class)
        {
            answered.push(class);
            let accepted = RequestorRoles {
                scu: roles.scu,
                // Our archive is the provider of commitment; of everything else we are.
                scp: roles.scp
                    && title(class) == STORAGE_COMMITMENT
                    && settings.commitment.may_report(calling),
            };
            let class = class.to_owned();
            items.push(UserVariableItem::ScuScpRoleSelectionSubItem(
                class, accepted,
            ));
        }
    }
    items
}

/// What a SOP class is for, or `None` where we do not offer it.
///
/// Storage classes of the standard stand under one root, with a few exceptions. A UID outside of
/// DICOM's own root is a private class, and on a CT console those are storage.
fn service(sop_class: &str) -> Option<Service> {
    match sop_class {
        VERIFICATION => return Some(Service::Verification),
        STORAGE_COMMITMENT => return Some(Service::Commitment),
        _ => {}
    }
    let storage = sop_class.starts_with(STORAGE_ROOT)
        || OTHER_STORAGE.contains(&sop_class)
        || !sop_class.starts_with("1.2.840.10008.");
    let sound = crate::base::ident::checked_uid(sop_class).is_ok();
    (storage && sound).then_some(Service::Storage)
}

#[cfg(test)]
mod tests {
    use super::super::settings::{Access, Peer};
    use super::*;

    const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
    const ELE: &str = "1.2.840.10008.1.2.1";

    fn settings() -> Settings {
        let peer = Peer {
            calling: "CT1".to_owned(),
            network: "127.0.0.1".parse().unwrap(),
            echo_only: false,
        };
        Settings::new("SCANSIDE", Access::Peers(vec![peer]))
    }

    fn context(id: u8, class: &str, syntaxes: &[&str]) -> PresentationContextProposed {
        PresentationContextProposed {
            id,
            abstract_syntax: class.to_owned(),
            transfer_syntaxes: syntaxes.iter().map(|&s| s.to_owned()).collect(),
        }
    }

    fn request(contexts: Vec<PresentationContextProposed>) -> AssociationRQ {
        AssociationRQ {
            protocol_version: 1,
            calling_ae_title: "CT1".to_owned(),
            called_ae_title: "SCANSIDE".to_owned(),
            application_context_name: APPLICATION_CONTEXT.to_owned(),
            presentation_contexts: contexts,
            user_variables: vec![UserVariableItem::MaxLength(0)],
        }
    }

    fn judge(request: &AssociationRQ) -> Verdict {
        negotiate(
            request,
            &settings(),
            IpAddr::from([127, 0, 0, 1]),
            Room::Take,
        )
    }

    fn reasons(request: &AssociationRQ) -> Vec<ContextReason> {
        let Verdict::Accept(accepted) = judge(request) else {
            panic!("not accepted");
        };
        let results = accepted.answer.presentation_contexts;
        results.into_iter().map(|r| r.reason).collect()
    }

    #[test]
    fn every_storage_class_is_taken_and_nothing_else() {
        let ours = [
            VERIFICATION,
            CT,
            "1.2.840.10008.5.1.4.1.1.88.67",
            "1.2.840.10008.5.1.4.1.1.7",
            "1.3.12.2.1107.5.9.1",
        ];
        let others = [
            STORAGE_COMMITMENT,
            "1.2.840.10008.5.1.4.1.2.2.1",
            "1.2.840.10008.3.1.2.3.3",
            "rubbish",
        ];
        for class in ours {
            let asked = request(vec![context(1, class, &[ELE])]);
            assert_eq!(reasons(&asked), [ContextReason::Acceptance], "{class}");
        }
        for class in others {
            let asked = request(vec![context(1, class, &[ELE])]);
            let refused = ContextReason::AbstractSyntaxNotSupported;
            assert_eq!(reasons(&asked), [refused], "{class}");
        }
        let asked = request(vec![context(1, CT, &["1.2.840.113619.5.2"])]);
        let refused = ContextReason::TransferSyntaxesNotSupported;
        assert_eq!(reasons(&asked), [refused]);
    }

    #[test]
    fn commitment_is_for_those_whom_the_settings_name() {
        use super::super::commitment::Terms;
        let mut settings = settings();
        let peer = |calling: &str, echo_only| Peer {
            calling: calling.to_owned(),
            network: "127.0.0.1".parse().unwrap(),
            echo_only,
        };
        // An archive that stores nothing here may report all the same.
        let peers = vec![peer("CT1", false), peer("CT2", false), peer("PACS", true)];
        settings.access = Access::Peers(peers);
        settings.commitment = Terms {
            consoles: vec!["CT1".to_owned()],
            archives: vec!["PACS".to_owned()],
            ..Terms::default()
        };
        let local = IpAddr::from([127, 0, 0, 1]);
        let ask = |calling: &str, syntax: &str| {
            let mut asked = request(vec![context(1, STORAGE_COMMITMENT, &[syntax])]);
            asked.calling_ae_title = calling.to_owned();
            // A console proposes both; an archive comes as the provider alone.
            let roles = RequestorRoles {
                scu: calling != "PACS",
                scp: true,
            };
            let roles =
                UserVariableItem::ScuScpRoleSelectionSubItem(STORAGE_COMMITMENT.to_owned(), roles);
            asked.user_variables.push(roles);
            let Verdict::Accept(accepted) = negotiate(&asked, &settings, local, Room::Take) else {
                panic!("not accepted");
            };
            let provider = accepted.answer.user_variables.iter().any(|item| {
                matches!(item, UserVariableItem::ScuScpRoleSelectionSubItem(_, roles) if roles.scp)
            });
            (
                accepted.answer.presentation_contexts[0].reason.clone(),
                provider,
            )
        };
        assert_eq!(ask("CT1", ELE), (ContextReason::Acceptance, false));
        assert_eq!(ask("PACS", ELE), (ContextReason::Acceptance, true));
        let stranger = ContextReason::AbstractSyntaxNotSupported;
        assert_eq!(ask("CT2", ELE), (stranger, false));
        let packed = ContextReason::TransferSyntaxesNotSupported;
        assert_eq!(ask("CT1", "1.2.840.10008.1.2.5"), (packed, false));
    }

    #[test]
    fn a_hundred_and_twenty_eight_contexts_are_fine() {
        let contexts = (0..128).map(|n| context(2 * n + 1, CT, &[ELE])).collect();
        assert_eq!(reasons(&request(contexts)).len(), 128);
    }

    #[test]
    fn refusals_have_the_right_source_and_reason() {
        let sound = || request(vec![context(1, CT, &[ELE])]);
        let refused = |asked: &AssociationRQ| match judge(asked) {
            Verdict::Reject(rejection, _) => rejection,
            other => panic!("{other:?}"),
        };
        let mut asked = sound();
        asked.called_ae_title = "scanside".to_owned();
        let called = permanent(UserReason::CalledAETitleNotRecognized);
        assert_eq!(refused(&asked), called);
        let mut asked = sound();
        asked.calling_ae_title = "CT2".to_owned();
        let calling = permanent(UserReason::CallingAETitleNotRecognized);
        assert_eq!(refused(&asked), calling);
        let mut asked = sound();
        asked.application_context_name = "1.2.3".to_owned();
        let context_name = permanent(UserReason::ApplicationContextNameNotSupported);
        assert_eq!(refused(&asked), context_name);
        let local = IpAddr::from([127, 0, 0, 1]);
        for (room, wanted) in [(Room::Stop, Why::DiskFull), (Room::NotYet, Why::NotReady)] {
            let full = negotiate(&sound(), &settings(), local, room);
            assert!(matches!(full, Verdict::Reject(r, why) if r == congestion() && why == wanted));
        }
    }

    #[test]
    fn what_others_tolerate_is_tolerated() {
        let mut asked = request(vec![context(1, CT, &["1.2.840.10008.1.2.1\0"])]);
        asked.protocol_version = 3;
        asked.application_context_name.push('\0');
        asked.calling_ae_title = "CT1\0\0".to_owned();
        assert_eq!(reasons(&asked), [ContextReason::Acceptance]);
        asked.protocol_version = 2;
        assert!(matches!(judge(&asked), Verdict::Reject(..)));
    }

    #[test]
    fn roles_are_answered_for_what_is_accepted() {
        const MR: &str = "1.2.840.10008.5.1.4.1.1.4";
        let mut asked = request(vec![
            context(1, CT, &[ELE]),
            context(3, CT, &[ELE]),
            context(5, MR, &[ELE]),
            context(7, STORAGE_COMMITMENT, &[ELE]),
        ]);
        for (class, scu, scp) in [
            (CT, true, true),
            (MR, false, true),
            (STORAGE_COMMITMENT, true, true),
        ] {
            let roles = RequestorRoles { scu, scp };
            let item = UserVariableItem::ScuScpRoleSelectionSubItem(class.to_owned(), roles);
            asked.user_variables.push(item);
        }
        let Verdict::Accept(accepted) = judge(&asked) else {
            panic!("not accepted");
        };
        let reason = |at: usize| accepted.answer.presentation_contexts[at].reason.clone();
        assert_eq!(reason(1), ContextReason::Acceptance);
        assert_eq!(reason(2), ContextReason::UserRejection);
        let roles: Vec<_> = accepted
            .answer
            .user_variables
            .iter()
            .filter(|item| matches!(item, UserVariableItem::ScuScpRoleSelectionSubItem(..)))
            .collect();
        let ours = RequestorRoles {
            scu: true,
            scp: false,
        };
        let expected = UserVariableItem::ScuScpRoleSelectionSubItem(CT.to_owned(), ours);
        assert_eq!(roles, [&expected]);
    }

    #[test]
    fn even_and_repeated_ids_end_the_association() {
        for ids in [[1, 2], [3, 3]] {
            let contexts = ids.map(|id| context(id, CT, &[ELE])).to_vec();
            let verdict = judge(&request(contexts));
            let invalid = AbortReason::InvalidPduParameter;
            assert!(matches!(verdict, Verdict::Abort(reason, _) if reason == invalid));
        }
    }
}
