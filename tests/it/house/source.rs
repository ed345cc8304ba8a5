//! Just enough of Rust's grammar to know which paths a file names.
//!
//! Comments and literals are blanked, `use` trees are flattened, and every other path is taken as
//! it stands. Macros are read as plain tokens, which suits the questions asked here.

use super::{read, tracked};

/// One file below `src/`.
pub struct Source {
    pub name: String,
    /// First folder or file name below `src/`: "reception", "board", "main".
    pub module: String,
    /// How many `super::` lead from the file's own module to the crate.
    depth: usize,
    pub code: Vec<Token>,
    /// The same without items under `#[cfg(test)]`.
    pub shipped: Vec<Token>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    Word(String),
    /// `::`
    Colons,
    Mark(char),
}

/// Every file of the program.
pub fn sources() -> Vec<Source> {
    let found: Vec<Source> = tracked()
        .into_iter()
        .filter(|name| name.starts_with("src/") && name.ends_with(".rs"))
        .map(|name| Source::new(&name, &read(&name)))
        .collect();
    assert!(found.len() > 10, "src/ seems empty");
    found
}

impl Source {
    pub fn new(name: &str, text: &str) -> Self {
        let below = name.strip_prefix("src/").unwrap_or(name);
        let path = below.strip_suffix(".rs").unwrap_or(below);
        let path = path.strip_suffix("/mod").unwrap_or(path);
        let module = path.split('/').next().unwrap_or(path).to_owned();
        let code = tokens(&blanked(text));
        // A file of tests only, taken in by `#[cfg(test)] mod tests;`.
        let all_tests = path.ends_with("tests");
        let shipped = if all_tests {
            Vec::new()
        } else {
            without_tests(&code)
        };
        Self {
            name: name.to_owned(),
            module,
            depth: path.split('/').count(),
            code,
            shipped,
        }
    }

    /// Modules of the crate that `code` names, other than its own.
    pub fn neighbours(&self, code: &[Token], known: &[&str]) -> Vec<String> {
        let mut found: Vec<String> = paths(code)
            .iter()
            .filter_map(|path| {
                let ups = path.iter().take_while(|word| *word == "super").count();
                let start = if path[0] == "crate" {
                    1
                } else if ups >= self.depth {
                    ups
                } else {
                    return None;
                };
                path.get(start).cloned()
            })
            .filter(|word| *word != self.module && known.contains(&word.as_str()))
            .collect();
        found.sort();
        found.dedup();
        found
    }

    /// Does `code` name a path that begins with `start`, "std::fs"? A single word must be followed
    /// by more: `log` alone may be a variable.
    pub fn names(code: &[Token], start: &str) -> bool {
        let start: Vec<&str> = start.split("::").collect();
        paths(code).iter().any(|path| {
            let path = if path[0].is_empty() {
                &path[1..]
            } else {
                &path[..]
            };
            let long_enough = path.len() >= start.len().max(2);
            long_enough && path.iter().zip(&start).all(|(a, b)| a == b)
        })
    }
}

/// The text with comments, strings and characters blanked; lines stay where they are.
pub fn blanked(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = end_of_opaque(&chars, at);
        if end > at {
            out.extend(
                chars[at..end]
                    .iter()
                    .map(|c| if *c == '\n' { '\n' } else { ' ' }),
            );
            at = end;
        } else {
            out.push(chars[at]);
            at += 1;
        }
    }
    out
}

/// Where the comment or literal that begins at `at` ends; `at` if none begins there.
fn end_of_opaque(chars: &[char], at: usize) -> usize {
    let look = |ahead: usize| chars.get(at + ahead).copied().unwrap_or(' ');
    let word_before = at > 0 && is_word(chars[at - 1]);
    match (chars[at], look(1)) {
        ('/', '/') => (at..chars.len())
            .find(|&i| chars[i] == '\n')
            .unwrap_or(chars.len()),
        ('/', '*') => {
            let mut depth = 0;
            let mut i = at;
            while i + 1 < chars.len() {
                match (chars[i], chars[i + 1]) {
                    ('/', '*') => (depth, i) = (depth + 1, i + 2),
                    ('*', '/') => (depth, i) = (depth - 1, i + 2),
                    _ => i += 1,
                }
                if depth == 0 {
                    return i;
                }
            }
            chars.len()
        }
        ('r', '"' | '#') | ('b', 'r') if !word_before => {
            let start = if chars[at] == 'b' { at + 2 } else { at + 1 };
            let hashes = chars[start..].iter().take_while(|c| **c == '#').count();
            if chars.get(start + hashes) != Some(&'"') {
                return at;
            }
            let mut end = start + hashes + 1;
            while end < chars.len() {
                let closes = chars[end] == '"'
                    && chars[end + 1..].iter().take_while(|c| **c == '#').count() >= hashes;
                if closes {
                    return end + 1 + hashes;
                }
                end += 1;
            }
            chars.len()
        }
        ('"', _) => closing(chars, at, '"'),
        // A character and not a lifetime.
        ('\'', '\\') => closing(chars, at, '\''),
        ('\'', _) if look(2) == '\'' => at + 3,
        _ => at,
    }
}

fn closing(chars: &[char], at: usize, quote: char) -> usize {
    let mut i = at + 1;
    while i < chars.len() {
        match chars[i] {
            '\\' => i += 2,
            c if c == quote => return i + 1,
            _ => i += 1,
        }
    }
    chars.len()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

pub fn tokens(blanked: &str) -> Vec<Token> {
    let mut out = Vec::new();
    let mut chars = blanked.chars().peekable();
    while let Some(c) = chars.next() {
        if is_word(c) {
            let mut word = String::from(c);
            while let Some(next) = chars.next_if(|next| is_word(*next)) {
                word.push(next);
            }
            out.push(Token::Word(word));
        } else if c == ':' && chars.next_if_eq(&':').is_some() {
            out.push(Token::Colons);
        } else if !c.is_whitespace() {
            out.push(Token::Mark(c));
        }
    }
    out
}

fn word(token: Option<&Token>) -> Option<&str> {
    match token {
        Some(Token::Word(word)) => Some(word),
        _ => None,
    }
}

/// Takes out each item under `#[cfg(test)]`.
fn without_tests(code: &[Token]) -> Vec<Token> {
    let attribute = tokens("#[cfg(test)]");
    let mut out = Vec::new();
    let mut at = 0;
    while at < code.len() {
        if code[at..].starts_with(&attribute) {
            at = end_of_item(code, at + attribute.len());
        } else {
            out.push(code[at].clone());
            at += 1;
        }
    }
    out
}

/// Past the `;` or the closing brace that ends the item which begins at `at`.
fn end_of_item(code: &[Token], at: usize) -> usize {
    let mut depth = 0;
    for (i, token) in code.iter().enumerate().skip(at) {
        match token {
            Token::Mark('{' | '(' | '[') => depth += 1,
            Token::Mark(')' | ']') => depth -= 1,
            Token::Mark('}') => {
                depth -= 1;
                if depth == 0 {
                    return i + 1;
                }
            }
            Token::Mark(';') if depth == 0 => return i + 1,
            _ => {}
        }
    }
    code.len()
}

/// Every path; a leading `::` is an empty first word.
pub fn paths(code: &[Token]) -> Vec<Vec<String>> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < code.len() {
        match &code[at] {
            Token::Word(first) if first == "use" => {
                at = tree(code, at + 1, &[], &mut out);
            }
            Token::Word(_) | Token::Colons => {
                let mut path = Vec::new();
                if code[at] == Token::Colons {
                    path.push(String::new());
                    at += 1;
                }
                while let Some(next) = word(code.get(at)) {
                    path.push(next.to_owned());
                    at += 1;
                    if code.get(at) != Some(&Token::Colons) || word(code.get(at + 1)).is_none() {
                        break;
                    }
                    at += 1;
                }
                if path.len() > 1 || path.first().is_some_and(|first| !first.is_empty()) {
                    out.push(path);
                }
                // `::<` of a turbofish is not the beginning of a path.
                if code.get(at) == Some(&Token::Colons) {
                    at += 1;
                }
            }
            Token::Mark(_) => at += 1,
        }
    }
    out
}

/// One branch of a `use` tree from `at` on; gives the place after it.
fn tree(code: &[Token], mut at: usize, prefix: &[String], out: &mut Vec<Vec<String>>) -> usize {
    let mut path = prefix.to_vec();
    loop {
        match code.get(at) {
            Some(Token::Word(word)) if word == "as" => at += 1,
            Some(Token::Word(word)) => {
                // The name after `as` is not a part of the path.
                if code.get(at.wrapping_sub(1)) != Some(&Token::Word("as".to_owned())) {
                    path.push(word.clone());
                }
            }
            Some(Token::Mark('*')) => path.push("*".to_owned()),
            Some(Token::Colons) => {}
            Some(Token::Mark('{')) => {
                at += 1;
                while at < code.len() && code.get(at) != Some(&Token::Mark('}')) {
                    at = tree(code, at, &path, out);
                    if code.get(at) == Some(&Token::Mark(',')) {
                        at += 1;
                    }
                }
                return at + 1;
            }
            _ => break,
        }
        at += 1;
    }
    if path.len() > prefix.len() {
        out.push(path);
    }
    // A mark that belongs to no tree (`impl use<'a>`) must not hold the reader up.
    match code.get(at) {
        Some(Token::Mark(',' | '}')) if !prefix.is_empty() => at,
        _ => at + 1,
    }
}

#[test]
fn comments_strings_and_characters_are_not_code() {
    let text = "a /* b /* c */ d */ e // f\n\"g\\\"h\" r#\"i\"# 'j' '\\'' <'k> br\"l\"";
    assert_eq!(
        tokens(&blanked(text)),
        tokens("a e < ' k >"),
        "{}",
        blanked(text)
    );
}

#[test]
fn use_trees_and_plain_paths_are_found() {
    let found = |text: &str| -> Vec<String> {
        paths(&tokens(text))
            .iter()
            .map(|path| path.join("::"))
            .filter(|path| path.contains("::"))
            .collect()
    };
    assert_eq!(
        found(
            "use crate::{base::{ident::*, unit::Mm as M}, study}; let a = crate::spool::put::<u8>(b);"
        ),
        [
            "crate::base::ident::*",
            "crate::base::unit::Mm",
            "crate::study",
            "crate::spool::put"
        ]
    );
    assert_eq!(found("use ::std::fs; x.map(::std::fs::read)").len(), 2);
    assert_eq!(found("use std::{io, fs::{self, File}};").len(), 3);
}

#[test]
fn test_code_is_told_from_shipped_code() {
    let text = "use std::io; #[cfg(test)] mod tests { use std::fs; } fn f() { std::net::x() }";
    let source = Source::new("src/study/order.rs", text);
    assert!(Source::names(&source.code, "std::fs"));
    assert!(!Source::names(&source.shipped, "std::fs"));
    assert!(Source::names(&source.shipped, "std::net"));
    assert!(
        Source::new("src/study/tests.rs", "use std::fs;")
            .shipped
            .is_empty()
    );
}

#[test]
fn a_neighbour_is_seen_through_super_as_well() {
    let known = ["base", "study", "spool"];
    let seen = |name: &str, text: &str| {
        let source = Source::new(name, text);
        source.neighbours(&source.code, &known)
    };
    assert_eq!(
        seen("src/spool/mod.rs", "use super::study::Study;"),
        ["study"]
    );
    assert_eq!(
        seen("src/spool/put.rs", "use super::super::study;"),
        ["study"]
    );
    assert!(seen("src/spool/put.rs", "use super::study;").is_empty());
    assert_eq!(seen("src/board.rs", "use crate::base::unit;"), ["base"]);
    assert!(seen("src/study/a.rs", "use crate::study::b;").is_empty());
}
