//! No answer waits until the peer has acknowledged the one before (TCP_NODELAY): with small answers
//! that costs 40 ms each, which is what an image costs where it was forgotten.

use super::Station;
use super::talk::{Request, echo, pdu};
use rustix::net::sockopt::set_tcp_quickack;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const ROUNDS: usize = 25;

/// A C-ECHO request as one PDU.
fn request(message_id: u16) -> Vec<u8> {
    let command = echo(message_id).to_bytes();
    let mut body = (command.len() as u32 + 2).to_be_bytes().to_vec();
    // Of the first context; the last part of a command.
    body.extend([1, 3]);
    body.extend(command);
    pdu(4, &body)
}

fn hear(stream: &mut TcpStream) -> u8 {
    let mut head = [0; 6];
    stream.read_exact(&mut head).unwrap();
    let length = u32::from_be_bytes([head[2], head[3], head[4], head[5]]);
    let mut body = vec![0; length as usize];
    stream.read_exact(&mut body).unwrap();
    head[0]
}

/// A peer that asks twice in one breath and is as slow with its acknowledgements as it may be.
fn rounds(port: u16) -> Vec<Duration> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_nodelay(true).unwrap();
    let patience = Some(Duration::from_secs(20));
    stream.set_read_timeout(patience).unwrap();
    stream
        .write_all(&Request::default().bytes("SCANSIDE"))
        .unwrap();
    assert_eq!(hear(&mut stream), 2, "accepted");
    let mut took = Vec::new();
    for round in 0..ROUNDS as u16 {
        // The system takes this back when it likes.
        set_tcp_quickack(&stream, false).unwrap();
        let both = [request(2 * round + 1), request(2 * round + 2)].concat();
        let begun = Instant::now();
        stream.write_all(&both).unwrap();
        assert_eq!((hear(&mut stream), hear(&mut stream)), (4, 4));
        took.push(begun.elapsed());
    }
    took.sort_unstable();
    took
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_does_not_wait_for_an_acknowledgement() {
    let station = Station::start();
    let took = tokio::task::block_in_place(|| rounds(station.port));
    let middle = took[ROUNDS / 2];
    assert!(middle < Duration::from_millis(20), "{took:?}");
}
