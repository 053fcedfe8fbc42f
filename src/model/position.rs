//! Where an attempt is on record.

use crate::error::{Error, Result};
use crate::model::base_n::{self, BASE62};
use std::fmt;
use std::str::FromStr;

/// Where an attempt is on record: the place in a listing of attempts, to go on from. Positions grow
/// in the order in which attempts were recorded; what is recorded later has a greater one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptPosition {
    commit: u64,
    page: u128,
    at: u16,
}

impl AttemptPosition {
    /// What the text of a position begins with.
    pub const PREFIX: &str = "atpos_";
    /// Bytes of a position.
    pub const WIDTH: usize = 26;

    /// The place numbered `at` in what `commit` recorded on `page`; the numbers are the store's.
    pub fn new(commit: u64, page: u128, at: u16) -> Self {
        Self { commit, page, at }
    }

    /// The commit.
    pub fn commit(self) -> u64 {
        self.commit
    }

    /// The page.
    pub fn page(self) -> u128 {
        self.page
    }

    /// The place on the page.
    pub fn at(self) -> u16 {
        self.at
    }

    /// The position as bytes, which sort like it.
    pub fn to_bytes(self) -> [u8; Self::WIDTH] {
        let mut bytes = [0; Self::WIDTH];
        let parts = self.commit.to_be_bytes().into_iter().chain(self.page.to_be_bytes());
        bytes.iter_mut().zip(parts.chain(self.at.to_be_bytes())).for_each(|(to, from)| *to = from);
        bytes
    }

    /// Reads what [`AttemptPosition::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8; Self::WIDTH]) -> Self {
        let number =
            |bytes: &[u8]| bytes.iter().fold(0, |all, byte| (all << 8) | u128::from(*byte));
        let (commit, rest) = bytes.split_at(8);
        let (page, at) = rest.split_at(16);
        Self { commit: number(commit) as u64, page: number(page), at: number(at) as u16 }
    }
}

/// Digits of the commit, the page and the place in base 62.
const DIGITS: [usize; 3] = [11, 22, 3];

impl fmt::Display for AttemptPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::PREFIX)?;
        let numbers = [u128::from(self.commit), self.page, u128::from(self.at)];
        for (number, digits) in numbers.into_iter().zip(DIGITS) {
            f.write_str(&base_n::encode(number, BASE62, digits))?;
        }
        Ok(())
    }
}

impl fmt::Debug for AttemptPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for AttemptPosition {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parse = || {
            let digits = text.strip_prefix(Self::PREFIX).filter(|digits| digits.len() == 36)?;
            let number = |range| base_n::decode(digits.get(range)?, BASE62);
            let commit = u64::try_from(number(0..11)?).ok()?;
            Some(Self::new(commit, number(11..33)?, u16::try_from(number(33..36)?).ok()?))
        };
        parse().ok_or_else(|| {
            Error::invalid(format!(
                "position `{}` is not one: expected `{}` and 36 letters and digits, as a page of \
                 attempts gave it",
                text.escape_debug(),
                Self::PREFIX
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn positions_survive_and_sort_as_bytes_and_text(
            first: (u64, u128, u16), second: (u64, u128, u16),
        ) {
            let position = |(commit, page, at)| AttemptPosition::new(commit, page, at);
            let (first, second) = (position(first), position(second));
            prop_assert_eq!(AttemptPosition::from_bytes(&first.to_bytes()), first);
            prop_assert_eq!(first.to_string().parse::<AttemptPosition>().unwrap(), first);
            prop_assert_eq!(first.cmp(&second), first.to_bytes().cmp(&second.to_bytes()));
            prop_assert_eq!(first.cmp(&second), first.to_string().cmp(&second.to_string()));
        }
    }

    #[test]
    fn a_foreign_text_is_refused() {
        for bad in ["", "atpos_", "atpos_0", &format!("atpos_{}", "z".repeat(36))] {
            assert!(bad.parse::<AttemptPosition>().unwrap_err().is_invalid(), "{bad}");
        }
    }
}
