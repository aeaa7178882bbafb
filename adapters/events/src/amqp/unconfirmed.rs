//! What was sent and is not confirmed yet.

use std::collections::VecDeque;

use reprieve_application::ports::SendError;
use reprieve_domain::FailureCode;
use tokio::sync::oneshot;

use crate::failure;

/// An answer of the broker that answers nothing that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Senseless;

/// Where the answer goes.
pub(super) type Answer = oneshot::Sender<Result<(), SendError>>;

/// All messages of a connection that wait for an answer.
#[derive(Debug)]
pub(super) struct Unconfirmed {
    /// The first one has the tag `first_tag`, and each one after it the next. Those that were answered before the first one
    /// leave a gap.
    messages: VecDeque<Option<Sent>>,
    first_tag: u64,
}

#[derive(Debug)]
struct Sent {
    message_id: String,
    /// It reached no queue. The broker says so before it confirms.
    is_returned: bool,
    answer: Answer,
}

impl Unconfirmed {
    pub(super) fn new() -> Self {
        Self { messages: VecDeque::new(), first_tag: 1 }
    }

    /// The broker counts as we do: in the order in which the messages are written.
    pub(super) fn push(&mut self, message_id: &str, answer: Answer) {
        let message_id = message_id.to_owned();
        self.messages.push_back(Some(Sent { message_id, is_returned: false, answer }));
    }

    /// Marks the message that came back. Which one that is must be known, or another one would count as delivered.
    pub(super) fn mark_returned(&mut self, message_id: Option<&str>) -> Result<(), Senseless> {
        let mut waiting = self.messages.iter_mut().flatten();
        let is_it = |sent: &&mut Sent| !sent.is_returned && Some(sent.message_id.as_str()) == message_id;
        waiting.find(is_it).ok_or(Senseless)?.is_returned = true;
        Ok(())
    }

    /// Answers for the message with this tag, or for all up to it. Tag 0 is for all.
    pub(super) fn answer(&mut self, tag: u64, multiple: bool, is_taken: bool) -> Result<(), Senseless> {
        let end = match tag.checked_sub(self.first_tag) {
            Some(place) => {
                usize::try_from(place).ok().and_then(|place| place.checked_add(1)).ok_or(Senseless)?
            }
            None if tag == 0 && multiple => self.messages.len(),
            None => return Err(Senseless),
        };
        if end > self.messages.len() {
            return Err(Senseless);
        }
        let start = if multiple { 0 } else { end.saturating_sub(1) };
        for sent in self.messages.range_mut(start..end).filter_map(Option::take) {
            let answer = if sent.is_returned {
                Err(SendError::Refused(failure::unroutable()))
            } else if is_taken {
                Ok(())
            } else {
                Err(SendError::Refused(failure::nacked()))
            };
            // Whoever does not wait any more does not want to know.
            let _ = sent.answer.send(answer);
        }
        while self.messages.pop_front_if(|first| first.is_none()).is_some() {
            self.first_tag += 1;
        }
        Ok(())
    }

    /// Everybody who waits learns why nothing is going to be answered any more.
    pub(super) fn fail_all(&mut self, why: &FailureCode) {
        for sent in self.messages.drain(..).flatten() {
            let _ = sent.answer.send(Err(SendError::Unreachable(why.clone())));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Answers = Vec<oneshot::Receiver<Result<(), SendError>>>;

    fn sent(count: usize) -> (Unconfirmed, Answers) {
        let mut unconfirmed = Unconfirmed::new();
        let answers = (1..=count).map(|tag| {
            let (answer, answered) = oneshot::channel();
            unconfirmed.push(&format!("m{tag}"), answer);
            answered
        });
        let answers = answers.collect();
        (unconfirmed, answers)
    }

    /// `.` for none yet, and else what it is.
    fn seen(answers: &mut Answers) -> String {
        let letter = |answered: &mut oneshot::Receiver<_>| match answered.try_recv() {
            Err(_) => '.',
            Ok(Ok(())) => 'y',
            Ok(Err(SendError::Refused(code))) if code == failure::unroutable() => 'u',
            Ok(Err(SendError::Refused(_))) => 'n',
            Ok(Err(SendError::Unreachable(_))) => 'x',
        };
        answers.iter_mut().map(letter).collect()
    }

    #[test]
    fn each_answer_is_for_those_that_it_names() {
        let (mut unconfirmed, mut answers) = sent(9);
        unconfirmed.answer(3, false, true).unwrap();
        assert_eq!(seen(&mut answers), "..y......");
        unconfirmed.answer(1, false, false).unwrap();
        assert_eq!(seen(&mut answers), "n........");
        unconfirmed.answer(5, true, true).unwrap();
        assert_eq!(seen(&mut answers), ".y.yy....");
        unconfirmed.answer(6, true, false).unwrap();
        assert_eq!(seen(&mut answers), ".....n...");
        unconfirmed.answer(0, true, true).unwrap();
        assert_eq!(seen(&mut answers), "......yyy");
    }

    #[test]
    fn a_message_that_came_back_is_refused_and_no_other_one_is() {
        let (mut unconfirmed, mut answers) = sent(6);
        unconfirmed.mark_returned(Some("m4")).unwrap();
        unconfirmed.answer(2, true, true).unwrap();
        unconfirmed.mark_returned(Some("m5")).unwrap();
        unconfirmed.answer(6, true, true).unwrap();
        assert_eq!(seen(&mut answers), "yyyuuy");
    }

    #[test]
    fn of_two_messages_with_one_id_each_may_come_back() {
        let (mut unconfirmed, mut answers) = sent(1);
        let (answer, answered) = oneshot::channel();
        unconfirmed.push("m1", answer);
        answers.push(answered);
        unconfirmed.mark_returned(Some("m1")).unwrap();
        unconfirmed.mark_returned(Some("m1")).unwrap();
        unconfirmed.answer(2, true, true).unwrap();
        assert_eq!(seen(&mut answers), "uu");
    }

    #[test]
    fn what_answers_nothing_is_seen() {
        let (mut unconfirmed, mut answers) = sent(3);
        unconfirmed.answer(2, true, true).unwrap();
        for (tag, multiple) in [(0, false), (1, false), (2, true), (4, false), (4, true), (u64::MAX, true)] {
            assert_eq!(unconfirmed.answer(tag, multiple, true), Err(Senseless), "{tag} {multiple}");
        }
        assert_eq!(unconfirmed.mark_returned(Some("m2")), Err(Senseless));
        assert_eq!(unconfirmed.mark_returned(None), Err(Senseless));
        assert_eq!(seen(&mut answers), "yy.");
        unconfirmed.fail_all(&FailureCode::timed_out());
        assert_eq!(seen(&mut answers), "..x");
    }

    proptest! {
        #[test]
        fn nobody_is_told_that_a_message_arrived_that_did_not(
            answers in prop::collection::vec((0_u64..12, any::<bool>(), any::<bool>()), 0..20),
            returned in prop::collection::btree_set(1_usize..10, 0..5),
        ) {
            let (mut unconfirmed, mut waiting) = sent(10);
            let mut expected = vec!['.'; 10];
            for tag in &returned {
                unconfirmed.mark_returned(Some(&format!("m{tag}"))).unwrap();
            }
            for (tag, multiple, is_taken) in answers {
                if unconfirmed.answer(tag, multiple, is_taken).is_err() {
                    continue;
                }
                for (number, letter) in (1..).zip(&mut expected) {
                    let named = number == tag || (multiple && (number < tag || tag == 0));
                    if named && *letter == '.' {
                        let is_returned = returned.contains(&usize::try_from(number).unwrap());
                        *letter = if is_returned { 'u' } else if is_taken { 'y' } else { 'n' };
                    }
                }
            }
            prop_assert_eq!(seen(&mut waiting), expected.into_iter().collect::<String>());
        }
    }
}
