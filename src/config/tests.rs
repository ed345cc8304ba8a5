//! Settings that are right, and those that are not.

use super::*;

#[test]
fn without_a_file_nobody_is_let_in_and_nothing_leaves() {
    let config = Config::parse("").unwrap();
    assert!(matches!(&config.access, Access::Peers(peers) if peers.is_empty()));
    assert!(!config.export.enabled && !config.export.identified);
    assert_eq!(config.listen.port(), PORT);
    assert!(config.streaming.enabled);
}

#[test]
fn work_while_receiving_can_be_switched_off() {
    let config = Config::parse("[streaming]\nenabled = false\nmemory_mb = 7").unwrap();
    let streaming = Streaming {
        enabled: false,
        most_bytes: 7 << 20,
    };
    assert_eq!(config.streaming, streaming);
}

#[test]
fn a_file_is_read_whole() {
    let config = Config::parse(
        "ae_title = 'BOX1'\nlisten = '127.0.0.1:104'\nplace = 'public'\nlanguage = 'de'\n\
         [[caller]]\nae_title = 'CT1'\naddress = '10.0.0.0/24'\n\
         [completion]\nquiet_s = 7.5\n[checks]\nyoungest_years = 16.0\n",
    )
    .unwrap();
    assert_eq!(
        (config.ae_title.as_str(), config.listen.port()),
        ("BOX1", 104)
    );
    assert_eq!(config.times.quiet, Duration::from_millis(7500));
    assert_eq!(config.times.longest, Times::default().longest);
    assert!(
        config
            .access
            .clearance("CT1", "10.0.0.9".parse().unwrap())
            .is_some()
    );
    assert!(
        config
            .access
            .clearance("CT1", "10.0.1.9".parse().unwrap())
            .is_none()
    );
    assert_eq!(config.place, Place::Public);
    assert_eq!(config.language, Language::German);
}

#[test]
fn the_secure_port_stands_beside_the_plain_one() {
    let files = "certificate = 'c.pem'\nkey = 'k.pem'\nclient_ca = 'a.pem'\n";
    let config = Config::parse(&format!("listen = '10.0.0.5:104'\n[tls]\n{files}")).unwrap();
    let tls = config.tls.unwrap();
    assert_eq!(tls.listen.to_string(), "10.0.0.5:2762");
    assert!(!tls.only);
    assert!(Config::parse("").unwrap().tls.is_none());
    let same = Config::parse(&format!("[tls]\n{files}port = 11112")).unwrap_err();
    assert!(same.to_string().contains("the plain port already"));
    let only = Config::parse(&format!("[tls]\n{files}port = 11112\nonly = true")).unwrap();
    assert!(only.tls.unwrap().only);
}

#[test]
fn what_is_wrong_is_told_in_words() {
    for (text, words) in [
        ("[tls]\ncertificate = 'c.pem'", "[tls] needs key"),
        ("ae_title = 'MUCH TOO LONG A TITLE'", "AE title"),
        ("listen = 'everywhere'", "not an address"),
        ("colour = 'blue'", "unknown field"),
        ("[disk]\nstop_percent = 60", "levels of the disk"),
        ("[disk]\nwarn_free_gb = -1.0", "levels of the disk"),
        (
            "[[caller]]\nae_title = 'CT1'\naddress = 'ct1.hospital'",
            "caller CT1",
        ),
    ] {
        let error = Config::parse(text).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn levels_and_retention_are_settings_and_nothing_is_removed_without_one() {
    let plain = Config::parse("").unwrap();
    assert_eq!(plain.quota(), Quota::default());
    assert!(!plain.retention.removes());
    let text = "[disk]\nwarn_percent = 50\nstop_free_gb = 1.0\n[retention]\ndays = 30\n";
    let mut config = Config::parse(text).unwrap();
    config.lenient_disk = true;
    let quota = config.quota();
    assert_eq!((quota.low_percent, quota.stop_percent), (50, 90));
    assert_eq!(quota.stop_free, 1_000_000_000);
    assert_eq!(config.retention.days, Some(30));
}

#[test]
fn everybody_is_let_in_on_loopback_only() {
    let mut config = Config::parse("").unwrap();
    assert!(config.allow_any().is_err());
    config.listen = "127.0.0.1:0".parse().unwrap();
    assert!(config.allow_any().is_ok());
}

#[test]
fn recipients_are_checked_and_an_empty_list_is_none() {
    let (one, other) = (
        "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p",
        "age10l8uc87z24xnrcp76zc4t0ua9gl8pz86zgutklztqzar4sstup5s973h99",
    );
    let parsed = |list: &str| Config::parse(&format!("[export]\nrecipients = {list}"));
    assert!(Config::parse("").unwrap().export.recipients.is_empty());
    let config = parsed(&format!("['{one}', '{other}', '{one}']")).unwrap();
    let texts = config.export.recipients.iter().map(ToString::to_string);
    assert_eq!(texts.collect::<Vec<_>>(), [other, one]);
    let said = |list: &str| parsed(list).unwrap_err().to_string();
    for (list, words) in [
        ("[]".to_owned(), "the list is empty"),
        (format!("['{one}', 'age1x']"), "mistyped"),
        (
            format!("['{one}', 'somebody']"),
            "\"somebody\" is no recipient",
        ),
        (
            format!("[{}]", format!("'{one}', ").repeat(33)),
            "at most 32",
        ),
    ] {
        let said = said(&list);
        assert!(
            said.starts_with("[export] recipients is not set right: ") && said.contains(words),
            "{said}"
        );
    }
}
