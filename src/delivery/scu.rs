//! The DICOM client as a person or a queue uses it: ask for an echo, send many items.
//!
//! Each instance is offered in the syntax in which it is, and, where it is uncompressed, in the two
//! little-endian ones as well. The peer's answers are told one by one: whether to try again is the
//! caller's decision, by [`Outcome::is_delivered`] and [`Outcome::is_transient`].

pub use super::client::{BadDestination, Client, Destination, Offer, Options, Outcome, ScuError};
use super::client::{VERIFICATION, offer};
use super::object::{Item, ObjectFault};
use crate::reception::TransferSyntax;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use std::io;
use std::time::{Duration, Instant};

/// Contexts that fit into one association: ids are the odd numbers of one byte.
const MOST_CONTEXTS: usize = 128;

/// The outcome of the item at `index`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub index: usize,
    /// Empty where the item could not be read.
    pub sop: String,
    pub outcome: Outcome,
}

/// Waits for one conversation, for a caller that has nothing else to do.
///
/// # Errors
/// When the system gives no means to wait.
pub fn blocking<R>(conversation: impl Future<Output = R>) -> io::Result<R> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime.block_on(conversation))
}

/// Asks whether the peer is there; says how long it took from the connection to the answer.
pub async fn echo(to: &Destination, options: &Options) -> Result<Duration, ScuError> {
    let start = Instant::now();
    let offers = [
        offer(VERIFICATION, TransferSyntax::ImplicitLittle.uid()),
        offer(VERIFICATION, TransferSyntax::ExplicitLittle.uid()),
    ];
    let mut client = Client::open(to, options, &offers).await?;
    let context = client.accepted().next().ok_or(ScuError::NothingAccepted)?;
    let status = client.echo(context).await?;
    let took = start.elapsed();
    client.release().await;
    if status != 0 {
        return Err(ScuError::Protocol(format!("C-ECHO status {status:04X}")));
    }
    Ok(took)
}

/// Sends items, over as many associations as it takes, and tells each answer as it comes.
///
/// # Errors
/// When not a single item was answered, with the reason of the last association.
pub async fn send(
    items: &[Item],
    to: &Destination,
    options: &Options,
    mut progress: impl FnMut(&Answer),
) -> Result<Vec<Answer>, ScuError> {
    let mut order: Vec<usize> = (0..items.len()).collect();
    if let Some(seed) = options.shuffle {
        order.shuffle(&mut rand_xoshiro::Xoshiro256PlusPlus::seed_from_u64(seed));
    }
    let mut answers: Vec<Answer> = Vec::with_capacity(items.len());
    let mut tell = |answer: Answer| {
        progress(&answer);
        answers.push(answer);
    };
    let mut trouble = None;
    let mut answered = false;
    let mut rest = order.as_slice();
    while !rest.is_empty() {
        let (group, offers) = group(items, rest, options.one_association_per_image, &mut tell);
        rest = &rest[group.taken..];
        if group.members.is_empty() {
            continue;
        }
        let mut left = group.members.as_slice();
        let mut tell = |answer| {
            answered = true;
            tell(answer);
        };
        if let Err(error) = converse(items, &mut left, &offers, to, options, &mut tell).await {
            for (index, sop) in left {
                tell(Answer {
                    index: *index,
                    sop: sop.clone(),
                    outcome: Outcome::Lost(error.to_string()),
                });
            }
            trouble = Some(error);
        }
    }
    match trouble {
        Some(error) if !answered => Err(error),
        _ => Ok(answers),
    }
}

/// Items that share an association.
struct Group {
    /// How many of the order were looked at.
    taken: usize,
    members: Vec<(usize, String)>,
}

/// Takes items from the front until the contexts of an association are used up.
fn group(
    items: &[Item],
    order: &[usize],
    alone: bool,
    tell: &mut impl FnMut(Answer),
) -> (Group, Vec<Offer>) {
    let mut offers: Vec<Offer> = Vec::new();
    let mut group = Group {
        taken: 0,
        members: Vec::new(),
    };
    for &index in order {
        let object = match items[index].open() {
            Ok(object) => object,
            Err(fault) => {
                tell(unreadable(index, String::new(), &fault));
                group.taken += 1;
                continue;
            }
        };
        let mut wanted = vec![offer(&object.sop_class, &object.syntax)];
        if object.is_native() {
            for other in [
                TransferSyntax::ExplicitLittle,
                TransferSyntax::ImplicitLittle,
            ] {
                wanted.push(offer(&object.sop_class, other.uid()));
            }
        }
        wanted.retain(|offer| !offers.contains(offer));
        wanted.dedup();
        if offers.len() + wanted.len() > MOST_CONTEXTS {
            break;
        }
        for offer in wanted {
            if !offers.contains(&offer) {
                offers.push(offer);
            }
        }
        group.taken += 1;
        group.members.push((index, object.sop));
        if alone {
            break;
        }
    }
    (group, offers)
}

fn unreadable(index: usize, sop: String, fault: &ObjectFault) -> Answer {
    let outcome = Outcome::Unreadable(fault.to_string());
    Answer {
        index,
        sop,
        outcome,
    }
}

/// Sends a group over one association. What has been answered is taken off `left`.
async fn converse(
    items: &[Item],
    left: &mut &[(usize, String)],
    offers: &[Offer],
    to: &Destination,
    options: &Options,
    tell: &mut impl FnMut(Answer),
) -> Result<(), ScuError> {
    let mut client = Client::open(to, options, offers).await?;
    while let Some(((index, sop), after)) = left.split_first() {
        let (index, sop) = (*index, sop.clone());
        let answer = match items[index].open() {
            Err(fault) => unreadable(index, sop, &fault),
            Ok(object) => {
                let outcome = client.store(object).await?;
                Answer {
                    index,
                    sop,
                    outcome,
                }
            }
        };
        *left = after;
        tell(answer);
    }
    client.release().await;
    Ok(())
}
