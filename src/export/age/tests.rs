//! The reading side, written once more from the format's page, for one file per key.

use super::*;
use ring::agreement::PublicKey;

/// A key pair that opens one file: ring's private keys agree once.
pub struct Identity {
    private: EphemeralPrivateKey,
    public: PublicKey,
}

impl Identity {
    pub fn draw() -> Self {
        let private = EphemeralPrivateKey::generate(&X25519, &SystemRandom::new()).unwrap();
        let public = private.compute_public_key().unwrap();
        Self { private, public }
    }

    pub fn recipient(&self) -> Recipient {
        let hrp = Hrp::parse("age").unwrap();
        let text = bech32::encode::<Bech32>(hrp, self.public.as_ref()).unwrap();
        Recipient::parse(&text).unwrap()
    }

    /// What is in a file, where this key opens it and every byte of it is as it was sealed.
    pub fn open(self, file: &[u8]) -> Option<Vec<u8>> {
        let end = file.windows(5).position(|w| w == b"\n--- ")?;
        let (head, rest) = file.split_at(end + 4);
        let text = std::str::from_utf8(head).ok()?;
        let mut lines = text.lines();
        assert_eq!(lines.next()?, "age-encryption.org/v1");
        let mut file_key = None;
        let mut private = Some(self.private);
        let stanzas: Vec<&str> = lines.take_while(|line| *line != "---").collect();
        // A private key agrees once, so the tests seal for this one first.
        let share = STANDARD_NO_PAD.decode(stanzas[0].strip_prefix("-> X25519 ")?);
        let share = share.ok()?;
        let mut body = STANDARD_NO_PAD.decode(stanzas[1]).ok()?;
        let salt = [&share, self.public.as_ref()].concat();
        let theirs = UnparsedPublicKey::new(&X25519, &share);
        let wrapping = agree_ephemeral(private.take()?, &theirs, |shared| {
            derive(&salt, shared, b"age-encryption.org/v1/X25519").unwrap()
        });
        let nonce = Nonce::assume_unique_for_key([0; 12]);
        let opening = cipher(&wrapping.ok()?).unwrap();
        if let Ok(opened) = opening.open_in_place(nonce, Aad::empty(), &mut body) {
            file_key = Some(opened.to_vec());
        }
        let file_key = file_key?;

        let tag = STANDARD_NO_PAD.decode(&rest[1..44]).ok()?;
        let key = derive(&[], &file_key, b"header").unwrap();
        hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, &key), head, &tag).ok()?;

        let (nonce, payload) = rest[45..].split_at(16);
        let opening = cipher(&derive(nonce, &file_key, b"payload").unwrap()).unwrap();
        let chunks: Vec<&[u8]> = payload.chunks(CHUNK + TAG).collect();
        let mut plain = Vec::new();
        for (number, chunk) in chunks.iter().enumerate() {
            let mut nonce = [0; 12];
            nonce[7..11].copy_from_slice(&u32::try_from(number).ok()?.to_be_bytes());
            nonce[11] = u8::from(number + 1 == chunks.len());
            let nonce = Nonce::assume_unique_for_key(nonce);
            let mut chunk = chunk.to_vec();
            let opened = opening.open_in_place(nonce, Aad::empty(), &mut chunk);
            plain.extend_from_slice(opened.ok()?);
        }
        Some(plain)
    }
}

fn sealed(recipients: &[Recipient], plain: &[u8], piece: usize) -> Vec<u8> {
    let envelope = Envelope::new(recipients).unwrap();
    let mut sealer = envelope.open(Vec::new()).unwrap();
    for piece in plain.chunks(piece) {
        sealer.push(piece).unwrap();
    }
    sealer.finish().unwrap()
}

/// Each length at which a chunk ends, begins or is missing.
const LENGTHS: [usize; 8] = [
    0,
    1,
    CHUNK - 1,
    CHUNK,
    CHUNK + 1,
    2 * CHUNK - 1,
    2 * CHUNK,
    3 * CHUNK + 77,
];

#[test]
fn what_is_sealed_opens_and_has_the_length_that_was_said() {
    for length in LENGTHS {
        let plain: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
        for piece in [1000, CHUNK, 1 << 20] {
            let (ours, other) = (Identity::draw(), Identity::draw());
            let for_whom = [ours.recipient(), other.recipient()];
            let file = sealed(&for_whom, &plain, piece);
            assert_eq!(file.len() as u64, sealed_length(length as u64, 2));
            assert!(ours.open(&file).unwrap() == plain, "{length} by {piece}");
        }
    }
}

#[test]
fn another_key_a_changed_byte_and_a_file_that_was_cut_off_do_not_open() {
    let plain = vec![5; CHUNK + 9];
    let file = |identity: &Identity| sealed(&[identity.recipient()], &plain, CHUNK);
    let ours = Identity::draw();
    assert!(Identity::draw().open(&file(&ours)).is_none(), "another key");
    for change in [30, 100, 130, 175, 190, CHUNK, CHUNK + 210] {
        let ours = Identity::draw();
        let mut changed = file(&ours);
        changed[change] ^= 1;
        assert!(ours.open(&changed).is_none(), "byte {change}");
    }
    let ours = Identity::draw();
    let whole = file(&ours);
    let first_chunk = whole.len() - (9 + TAG);
    assert!(ours.open(&whole[..first_chunk]).is_none(), "cut at a chunk");
}

#[test]
fn no_two_files_are_alike() {
    let ours = Identity::draw().recipient();
    let file = || sealed(std::slice::from_ref(&ours), b"the same", CHUNK);
    assert_ne!(file(), file());
    assert!(Envelope::new(&[]).is_err(), "for nobody");
}

#[test]
fn a_sink_that_fails_is_told() {
    struct Full(usize);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = (self.0.checked_sub(bytes.len())).ok_or(io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let ours = Identity::draw().recipient();
    let filled = |room| -> io::Result<Full> {
        let envelope = Envelope::new(std::slice::from_ref(&ours))?;
        let mut sealer = envelope.open(Full(room))?;
        sealer.push(&vec![0; 2 * CHUNK])?;
        sealer.finish()
    };
    for room in [100, CHUNK, 2 * CHUNK] {
        let error = filled(room).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull, "{room}");
    }
    assert!(filled(3 * CHUNK).is_ok());
}

#[test]
fn a_recipient_is_what_age_keygen_prints() {
    // The one in age's own manual.
    let text = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
    let recipient = Recipient::parse(text).unwrap();
    assert_eq!(recipient.to_string(), text);
    assert_eq!(recipient.short(), "age1ql3z7hjy...ac8p");
    assert_eq!(Recipient::parse(&format!(" {text}\n")), Ok(recipient));
}

#[test]
fn what_is_no_recipient_is_refused_in_words() {
    let said = |text: &str| Recipient::parse(text).unwrap_err().to_string();
    let good = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
    for (number, letter) in good.char_indices().skip(4) {
        let mut typed = good.to_owned();
        let other = if letter == 'q' { "p" } else { "q" };
        typed.replace_range(number..=number, other);
        assert!(said(&typed).contains("mistyped"), "{typed}");
    }
    for (text, words) in [
        ("", "is no recipient"),
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5", "is no recipient"),
        (&good.to_uppercase(), "is no recipient"),
        (&good[..61], "mistyped"),
        (&format!("{good}q"), "mistyped"),
        ("age1", "mistyped"),
        ("age1ü", "mistyped"),
        (
            "age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t",
            "of a plugin",
        ),
        ("age1pq1abc", "another kind"),
    ] {
        assert!(said(text).contains(words), "{text}: {}", said(text));
    }
    let long = "x".repeat(5000);
    assert!(said(&long).len() < 200);
}

#[test]
fn a_secret_key_among_the_recipients_is_not_shown() {
    let secret = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";
    for text in [
        secret.to_owned(),
        secret.to_lowercase(),
        format!("key: {secret}"),
    ] {
        let said = Recipient::parse(&text).unwrap_err().to_string();
        assert!(said.contains("secret key"), "{said}");
        assert!(!said.to_uppercase().contains("GFPYY"), "{said}");
    }
}

#[test]
fn a_key_that_everybody_shares_is_refused() {
    for point in [[0; KEY], {
        let mut one = [0; KEY];
        one[0] = 1;
        one
    }] {
        let hrp = Hrp::parse("age").unwrap();
        let text = bech32::encode::<Bech32>(hrp, &point).unwrap();
        let refused = Recipient::parse(&text);
        assert!(matches!(refused, Err(BadRecipient::Weak(_))), "{refused:?}");
    }
}
