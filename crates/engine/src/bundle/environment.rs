//! The words `KEY=value` of a process' environment, later ones over earlier ones. An image may have a great many: each is
//! found by its key, not by looking through all.

use std::collections::HashMap;

/// An environment that is being put together.
#[derive(Debug, Default)]
pub struct Environment {
    /// In the order in which the keys came; those taken away leave a hole.
    words: Vec<Option<String>>,
    places: HashMap<String, usize>,
}

impl Environment {
    /// Sets `KEY=value` over an older one, or removes `KEY`.
    pub fn set(&mut self, word: impl Into<String>) {
        let word = word.into();
        match word.split_once('=') {
            None => {
                if let Some(place) = self.places.remove(&word) {
                    self.words[place] = None;
                }
            }
            Some((key, _)) => match self.places.get(key) {
                Some(&place) => self.words[place] = Some(word),
                None => {
                    self.places.insert(key.to_owned(), self.words.len());
                    self.words.push(Some(word));
                }
            },
        }
    }

    /// Is there a word with this key?
    pub fn has(&self, key: &str) -> bool {
        self.places.contains_key(key)
    }

    /// The words, in order.
    pub fn into_words(self) -> Vec<String> {
        self.words.into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_word_takes_the_place_of_the_earlier_and_a_bare_key_takes_it_away() {
        let mut env = Environment::default();
        for word in ["A=1", "B=2", "A=3", "B", "C", "=x", "B=4"] {
            env.set(word);
        }
        assert!(env.has("A") && !env.has("C"));
        assert_eq!(env.into_words(), ["A=3", "=x", "B=4"]);
    }

    /// By looking through all of them these would be 20,000,000,000 comparisons.
    #[test]
    fn an_image_with_a_great_many_words_holds_nobody_up() {
        let mut env = Environment::default();
        for round in 0..2 {
            for at in 0..100_000 {
                env.set(format!("KEY{at}={round}"));
            }
        }
        let words = env.into_words();
        assert_eq!((words.len(), &*words[99_999]), (100_000, "KEY99999=1"));
    }
}
