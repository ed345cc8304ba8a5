//! Who gets from the wall to the service page, and for how long.
//!
//! A button on the board opens it; so does a PIN from a keypad. Both need somebody in front of the box.
//! Five wrong PINs lock the keypad for five minutes. The page leaves by itself two minutes after the
//! last key. This module keeps no clock: the caller says how long it has run.

use super::pin::{LONGEST, Pin};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long the page stays after the last key.
pub const STAYS: Duration = Duration::from_secs(120);

/// How long a PIN that was begun waits for its next digit, and how long a refusal is shown.
const WAITS: Duration = Duration::from_secs(15);

/// Wrong PINs before the keypad is locked, and for how long.
const MOST_WRONG: u32 = 5;
const LOCKED: Duration = Duration::from_secs(5 * 60);

/// Keys of the kernel (input-event-codes.h).
const ESCAPE: u16 = 1;
const BACKSPACE: u16 = 14;
const ENTER: [u16; 2] = [28, 96];

/// What is on the panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    Wall,
    /// A PIN is being typed.
    Asking(Asking),
    /// The service page, and for how many seconds more.
    Service {
        seconds: u32,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asking {
    /// So many digits were typed.
    Digits(u8),
    Wrong,
    /// For so many minutes more.
    Locked(u32),
}

/// What the audit trail is told of the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Knock {
    Button,
    Pin,
    WrongPin,
    /// The last of the wrong PINs that lock the keypad.
    Locked,
}

impl Knock {
    /// What its row says. One that was refused says so first.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Knock::Button => "service page opened by its button",
            Knock::Pin => "service page opened by its PIN",
            Knock::WrongPin => "refused: a wrong PIN",
            Knock::Locked => "refused: a wrong PIN, the keypad is locked",
        }
    }
}

/// Knocks that wait for somebody to take them: more are pressed by no finger between two looks.
const MOST_KNOCKS: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Wall,
    Typing(String),
    Wrong,
    Locked,
    Service,
}

/// The way in.
#[derive(Debug)]
pub struct Door {
    button: Option<u16>,
    pin: Option<Pin>,
    state: State,
    /// When the state ends.
    until: Duration,
    wrong: u32,
    locked_until: Duration,
    knocks: Vec<Knock>,
}

impl Door {
    #[must_use]
    pub fn new(button: Option<u16>, pin: Option<Pin>) -> Self {
        Self {
            button,
            pin,
            state: State::Wall,
            until: Duration::ZERO,
            wrong: 0,
            locked_until: Duration::ZERO,
            knocks: Vec::new(),
        }
    }

    /// A key was pressed.
    pub fn press(&mut self, code: u16, now: Duration) {
        self.turn(now);
        if self.button == Some(code) {
            match self.state {
                State::Service => self.enter(State::Wall, now, Duration::ZERO),
                _ => {
                    self.knock(Knock::Button);
                    self.enter(State::Service, now, STAYS);
                }
            }
            return;
        }
        if self.state == State::Service {
            match code {
                ESCAPE => self.enter(State::Wall, now, Duration::ZERO),
                // Somebody is still reading.
                _ => self.until = now + STAYS,
            }
            return;
        }
        if self.pin.is_some() {
            self.type_in(code, now);
        }
    }

    fn type_in(&mut self, code: u16, now: Duration) {
        if now < self.locked_until {
            return self.enter(State::Locked, now, WAITS);
        }
        let mut typed = match &mut self.state {
            State::Typing(typed) => std::mem::take(typed),
            _ => String::new(),
        };
        match (digit(code), code) {
            (Some(digit), _) => {
                // One more than any PIN has is wrong and stays so.
                if typed.len() <= LONGEST {
                    typed.push(digit);
                }
                self.enter(State::Typing(typed), now, WAITS);
            }
            (None, BACKSPACE) => {
                typed.pop();
                let next = match typed.is_empty() {
                    true => State::Wall,
                    false => State::Typing(typed),
                };
                self.enter(next, now, WAITS);
            }
            (None, ESCAPE) => self.enter(State::Wall, now, Duration::ZERO),
            (None, code) if ENTER.contains(&code) && !typed.is_empty() => self.judge(&typed, now),
            // Not a key of ours: what was typed stays.
            _ if !typed.is_empty() => self.state = State::Typing(typed),
            _ => {}
        }
    }

    fn judge(&mut self, typed: &str, now: Duration) {
        if self.pin.as_ref().is_some_and(|pin| pin.is(typed)) {
            self.wrong = 0;
            self.knock(Knock::Pin);
            log::info!("the service page was opened by its PIN");
            return self.enter(State::Service, now, STAYS);
        }
        self.wrong += 1;
        crate::limited!(log::Level::Warn, "a wrong PIN was typed at the display");
        if self.wrong >= MOST_WRONG {
            self.wrong = 0;
            self.knock(Knock::Locked);
            self.locked_until = now + LOCKED;
            return self.enter(State::Locked, now, WAITS);
        }
        self.knock(Knock::WrongPin);
        self.enter(State::Wrong, now, WAITS);
    }

    fn knock(&mut self, knock: Knock) {
        if self.knocks.len() < MOST_KNOCKS {
            self.knocks.push(knock);
        }
    }

    /// What has happened since the last look.
    pub fn take_knocks(&mut self) -> Vec<Knock> {
        std::mem::take(&mut self.knocks)
    }

    fn enter(&mut self, state: State, now: Duration, stays: Duration) {
        self.state = state;
        self.until = now + stays;
    }

    fn turn(&mut self, now: Duration) {
        if now >= self.until {
            self.state = State::Wall;
        }
    }

    /// What is to be shown.
    pub fn view(&mut self, now: Duration) -> View {
        self.turn(now);
        match &self.state {
            State::Wall => View::Wall,
            State::Typing(typed) => {
                View::Asking(Asking::Digits(u8::try_from(typed.len()).unwrap_or(u8::MAX)))
            }
            State::Wrong => View::Asking(Asking::Wrong),
            State::Locked => {
                let left = self.locked_until.saturating_sub(now).as_secs();
                let minutes = u32::try_from(left.div_ceil(60)).unwrap_or(u32::MAX);
                View::Asking(Asking::Locked(minutes.max(1)))
            }
            State::Service => {
                let left = self.until.saturating_sub(now).as_millis().div_ceil(1000);
                View::Service {
                    seconds: u32::try_from(left).unwrap_or(u32::MAX),
                }
            }
        }
    }
}

/// The digit of a key: the row above the letters, or the block at the right.
fn digit(code: u16) -> Option<char> {
    let digits = match code {
        2..=10 => u32::from(code) - 1,
        11 | 82 => 0,
        71..=73 => u32::from(code) - 64,
        75..=77 => u32::from(code) - 71,
        79..=81 => u32::from(code) - 78,
        _ => return None,
    };
    char::from_digit(digits, 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUTTON: u16 = 257;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn door() -> Door {
        Door::new(Some(BUTTON), Pin::new("102938".into()))
    }

    fn type_pin(door: &mut Door, pin: &str, now: Duration) {
        for digit in pin.bytes() {
            // The row above the letters: 1 to 9, then 0.
            let code = match digit {
                b'0' => 11,
                digit => u16::from(digit - b'0') + 1,
            };
            door.press(code, now);
        }
        door.press(28, now);
    }

    #[test]
    fn the_button_opens_and_closes_and_two_minutes_close() {
        let mut door = door();
        assert_eq!(door.view(s(1)), View::Wall);
        door.press(BUTTON, s(1));
        assert_eq!(door.view(s(1)), View::Service { seconds: 120 });
        assert_eq!(door.view(s(120)), View::Service { seconds: 1 });
        assert_eq!(door.view(s(121)), View::Wall);
        door.press(BUTTON, s(130));
        door.press(BUTTON, s(131));
        assert_eq!(door.view(s(131)), View::Wall);
        door.press(BUTTON, s(140));
        // Any key of somebody who reads.
        door.press(57, s(200));
        assert_eq!(door.view(s(300)), View::Service { seconds: 20 });
    }

    #[test]
    fn the_pin_opens_and_a_part_of_it_or_more_does_not() {
        for wrong in ["10293", "1029388", "102937", "1029381029381029"] {
            let mut door = door();
            type_pin(&mut door, wrong, s(1));
            assert_eq!(door.view(s(1)), View::Asking(Asking::Wrong), "{wrong}");
            assert_eq!(door.view(s(16)), View::Wall);
        }
        let mut door = door();
        door.press(3, s(1));
        door.press(3, s(1));
        assert_eq!(door.view(s(1)), View::Asking(Asking::Digits(2)));
        door.press(BACKSPACE, s(1));
        door.press(BACKSPACE, s(1));
        assert_eq!(door.view(s(1)), View::Wall);
        type_pin(&mut door, "102938", s(2));
        assert!(matches!(door.view(s(2)), View::Service { .. }));
        door.press(ESCAPE, s(3));
        assert_eq!(door.view(s(3)), View::Wall);
    }

    #[test]
    fn a_pin_that_was_begun_is_forgotten() {
        let mut door = door();
        for code in [2, 11, 3] {
            door.press(code, s(1));
        }
        assert_eq!(door.view(s(17)), View::Wall);
        for code in [10, 4, 9, 28] {
            door.press(code, s(17));
        }
        assert_eq!(door.view(s(17)), View::Asking(Asking::Wrong));
    }

    #[test]
    fn five_wrong_ones_lock_the_keypad_and_not_the_button() {
        let mut door = door();
        for _ in 0..5 {
            type_pin(&mut door, "111111", s(1));
        }
        assert_eq!(door.view(s(1)), View::Asking(Asking::Locked(5)));
        type_pin(&mut door, "102938", s(200));
        assert_eq!(door.view(s(200)), View::Asking(Asking::Locked(2)));
        door.press(BUTTON, s(201));
        assert!(matches!(door.view(s(201)), View::Service { .. }));
        door.press(BUTTON, s(202));
        type_pin(&mut door, "102938", s(302));
        assert!(matches!(door.view(s(302)), View::Service { .. }));
    }

    #[test]
    fn each_opening_and_each_wrong_pin_is_a_knock() {
        let mut door = door();
        door.press(BUTTON, s(1));
        door.press(BUTTON, s(2));
        assert_eq!(door.take_knocks(), [Knock::Button], "leaving is none");
        for _ in 0..6 {
            type_pin(&mut door, "111111", s(3));
        }
        let mut wrong = vec![Knock::WrongPin; 4];
        wrong.push(Knock::Locked);
        assert_eq!(door.take_knocks(), wrong);
        type_pin(&mut door, "102938", s(400));
        assert_eq!(door.take_knocks(), [Knock::Pin]);
        for _ in 0..400 {
            door.press(BUTTON, s(500));
        }
        assert_eq!(door.take_knocks().len(), MOST_KNOCKS);
    }

    #[test]
    fn without_a_pin_or_a_button_nothing_opens() {
        let mut door = Door::new(None, None);
        door.press(BUTTON, s(1));
        type_pin(&mut door, "", s(1));
        type_pin(&mut door, "000000", s(1));
        assert_eq!(door.view(s(1)), View::Wall);
    }

    #[test]
    fn the_block_at_the_right_has_the_same_digits() {
        let block = [82, 79, 80, 81, 75, 76, 77, 71, 72, 73];
        let row = [11, 2, 3, 4, 5, 6, 7, 8, 9, 10];
        for (n, (a, b)) in block.into_iter().zip(row).enumerate() {
            let wanted = char::from_digit(n as u32, 10);
            assert_eq!((digit(a), digit(b)), (wanted, wanted));
        }
        assert_eq!(digit(78), None);
    }
}
