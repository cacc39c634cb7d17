//! Questions with three answers: yes, no, and nobody knows.

use core::marker::PhantomData;

/// A question's place in the words.
pub trait Question {
    fn bit(self) -> u32;
}

/// Answers to questions of one kind, a bit each.
#[derive(Clone, Copy, Debug)]
pub struct Answers<Q> {
    /// What is yes.
    pub yes: u32,
    /// What is yes or no.
    pub known: u32,
    kind: PhantomData<Q>,
}

impl<Q> Default for Answers<Q> {
    fn default() -> Answers<Q> {
        Answers { yes: 0, known: 0, kind: PhantomData }
    }
}

impl<Q: Question> Answers<Q> {
    /// Notes an answer; None leaves the question open.
    pub fn note(&mut self, question: Q, answer: Option<bool>) {
        let bit = question.bit();
        self.known |= if answer.is_some() { bit } else { 0 };
        self.yes |= if answer == Some(true) { bit } else { 0 };
    }

    /// What was noted.
    pub fn get(&self, question: Q) -> Option<bool> {
        let bit = question.bit();
        (self.known & bit != 0).then_some(self.yes & bit != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Number(u32);

    impl Question for Number {
        fn bit(self) -> u32 {
            1 << self.0
        }
    }

    #[test]
    fn no_is_not_the_same_as_unknown() {
        let mut answers = Answers::default();
        answers.note(Number(0), Some(true));
        answers.note(Number(1), Some(false));
        answers.note(Number(2), None);
        assert_eq!((answers.yes, answers.known), (0b01, 0b11));
        assert_eq!([0, 1, 2].map(|n| answers.get(Number(n))), [Some(true), Some(false), None]);
    }
}
