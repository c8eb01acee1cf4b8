//! A correct register behind slow links, for the tests of the checkers: its answers are
//! linearizable by construction, and its log is the linearization.

use std::collections::BTreeMap;

use super::{Answer, Call, Committed, History, Ticket};

/// One step of one client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Move {
    pub(super) client: u64,
    /// Call of an idle client.
    pub(super) call: (u32, Call),
    pub(super) fate: Fate,
}

/// Fate of a pending call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    /// The call advances one step: it is invoked, takes effect, is answered.
    Onwards,
    /// The client gives up. If the call has not taken effect yet, it may do so later.
    GivenUp,
    /// The oldest abandoned call takes effect late.
    Late,
}

/// A register, its clients and the calls between them.
#[derive(Clone, Default, Debug)]
pub(super) struct Register {
    pub(super) history: History,
    pub(super) log: Vec<Committed>,
    lists: BTreeMap<u32, Vec<u64>>,
    under_way: BTreeMap<u64, UnderWay>,
    given_up: Vec<Committed>,
    sequence: u64,
    index: u64,
}

#[derive(Clone, Debug)]
struct UnderWay {
    ticket: Ticket,
    command: Committed,
    answer: Option<Answer>,
}

impl Register {
    pub(super) fn happen(&mut self, step: Move) {
        let Move {
            client,
            call: (key, call),
            fate,
        } = step;
        match (fate, self.under_way.remove(&client)) {
            (Fate::Late, under_way) => {
                self.under_way
                    .extend(under_way.map(|under_way| (client, under_way)));
                if !self.given_up.is_empty() {
                    let command = self.given_up.remove(0);
                    self.effect(command);
                }
            }
            (Fate::Onwards | Fate::GivenUp, None) => {
                self.sequence += 1;
                let ticket = self.history.invoke(client, self.sequence, key, call);
                let command = Committed {
                    index: 0,
                    client,
                    sequence: self.sequence,
                    key,
                    call,
                };
                self.under_way.insert(
                    client,
                    UnderWay {
                        ticket,
                        command,
                        answer: None,
                    },
                );
            }
            (
                Fate::Onwards,
                Some(UnderWay {
                    ticket,
                    command,
                    answer: None,
                }),
            ) => {
                let answer = Some(self.effect(command));
                self.under_way.insert(
                    client,
                    UnderWay {
                        ticket,
                        command,
                        answer,
                    },
                );
            }
            (
                Fate::Onwards,
                Some(UnderWay {
                    ticket,
                    answer: Some(answer),
                    ..
                }),
            ) => self.history.answer(ticket, answer),
            (
                Fate::GivenUp,
                Some(UnderWay {
                    command,
                    answer: None,
                    ..
                }),
            ) => self.given_up.push(command),
            (
                Fate::GivenUp,
                Some(UnderWay {
                    answer: Some(_), ..
                }),
                // The call already took effect; only its answer is lost.
            ) => {}
        }
    }

    /// Makes the command take effect, at an index that is not always the next one: logs hold other
    /// entries too.
    fn effect(&mut self, command: Committed) -> Answer {
        let list = self.lists.entry(command.key).or_default();
        if !command.call.is_update() {
            return Answer::Value {
                list: list.clone(),
                index: self.index,
            };
        }
        command.call.apply(list);
        self.index += 1 + command.sequence % 2;
        let index = self.index;
        self.log.push(Committed { index, ..command });
        Answer::Written { index }
    }
}
