//! Numbers written in the alphabets that providers use for ids.

/// Digits, then upper case, then lower case: in the order of ASCII, so texts sort like numbers.
pub const BASE62: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Digits and lower-case letters.
pub const BASE36: &str = "0123456789abcdefghijklmnopqrstuvwxyz";
/// Crockford's base 32: no I, L, O or U.
pub const CROCKFORD: &str = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Writes `number` in `alphabet`, padded in front with its first character to `length_min`.
pub fn encode(mut number: u128, alphabet: &str, length_min: usize) -> String {
    let letters = alphabet.as_bytes();
    let base = letters.len() as u128;
    let mut reversed = Vec::with_capacity(length_min.max(26));
    while number > 0 {
        // The remainder is below the alphabet's length, so the letter exists.
        reversed.push(letters.get((number % base) as usize).copied().unwrap_or(b'0'));
        number /= base;
    }
    let zero = letters.first().copied().unwrap_or(b'0');
    reversed.resize(reversed.len().max(length_min), zero);
    reversed.iter().rev().map(|letter| char::from(*letter)).collect()
}

/// Reads what [`encode`] wrote; `None` when a character is foreign or the number too large.
pub fn decode(text: &str, alphabet: &str) -> Option<u128> {
    let base = alphabet.len() as u128;
    text.chars().try_fold(0_u128, |number, letter| {
        let digit = alphabet.find(letter)? as u128;
        number.checked_mul(base)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_survive_every_alphabet() {
        for alphabet in [BASE62, BASE36, CROCKFORD] {
            for number in [0, 1, 61, 62, u128::MAX, 0x0192_3456_789a_bcde_f012_3456_789a_bcde] {
                assert_eq!(decode(&encode(number, alphabet, 22), alphabet), Some(number));
            }
        }
    }

    #[test]
    fn base62_texts_sort_like_their_numbers() {
        assert!(encode(1 << 90, BASE62, 22) < encode((1 << 90) + 1, BASE62, 22));
        assert!(encode(9, BASE62, 22) < encode(1 << 127, BASE62, 22));
    }

    #[test]
    fn foreign_letters_and_overflow_are_refused() {
        assert_eq!(decode("ab-c", BASE62), None);
        assert_eq!(decode(&"z".repeat(23), BASE62), None);
    }
}
