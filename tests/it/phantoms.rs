//! The shipped model answers the phantoms of the demonstration as it should.
//!
//! This says that the program works, not that the medicine does: phantoms are simulations.

use scanside::cli::demo;
use scanside::config::{Config, shipped_model};
use scanside::finding::Decision;
use scanside::infer::Bundle;
use scanside::phantom;
use scanside::report::Outcome;
use scanside::service::analyse::{Images, analyse};
use scanside::study::header::Header;
use scanside::volume::decode::decode;

#[test]
fn the_three_phantoms_are_answered_correctly() {
    let bundle = Bundle::load(&shipped_model()).unwrap();
    for recipe in demo::phantoms() {
        let study = phantom::generate(&recipe);
        let objects = phantom::objects(&study).unwrap();
        let headers: Vec<Header> = objects
            .iter()
            .map(|object| Header::read(object).unwrap())
            .collect();
        let analysis = analyse(
            &Images {
                headers: &headers,
                load: &|index| decode(&objects[index]),
                unreadable: 0,
            },
            Ok(&bundle),
            &Config::parse("").unwrap().limits,
            &(),
        );
        match analysis.outcome {
            Outcome::Analysed(analysed) => assert_eq!(
                analysed.decision,
                Decision::from(recipe.class),
                "{:?} {:?} {}",
                recipe.class,
                analysed.p,
                analysed.undecided_because
            ),
            Outcome::NotAnalysed { reason, .. } => panic!("{:?}: {reason}", recipe.class),
        }
    }
}
