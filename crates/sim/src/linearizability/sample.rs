//! Handwritten histories for the tests of the checkers.

use super::{Answer, Call, History};

/// One operation with the times of its invocation and return. Only the order of times matters.
#[derive(Clone)]
pub(super) struct Sample {
    key: u32,
    call: Call,
    list: Vec<u64>,
    index: u64,
    invoked: u64,
    returned: Option<u64>,
}

/// An update that took effect.
pub(super) fn done(call: Call, time: std::ops::Range<u64>) -> Sample {
    Sample {
        key: 0,
        call,
        list: Vec::new(),
        index: 0,
        invoked: time.start,
        returned: Some(time.end),
    }
}

/// A read that saw a list.
pub(super) fn saw(list: &[u64], time: std::ops::Range<u64>) -> Sample {
    Sample {
        list: list.to_vec(),
        ..done(Call::Read, time)
    }
}

/// A call that was never answered.
pub(super) fn asked(call: Call, invoked: u64) -> Sample {
    Sample {
        returned: None,
        ..done(call, invoked..invoked)
    }
}

impl Sample {
    pub(super) fn on(self, key: u32) -> Self {
        Sample { key, ..self }
    }

    /// The index that came with the answer.
    pub(super) fn at(self, index: u64) -> Self {
        Sample { index, ..self }
    }
}

/// Creates a history with one client per operation: client 1's number 1, client 2's, and so on.
pub(super) fn history<const N: usize>(samples: [Sample; N]) -> History {
    let mut events = std::collections::BTreeMap::new();
    for (client, sample) in (1..).zip(&samples) {
        for time in [Some(sample.invoked), sample.returned]
            .into_iter()
            .flatten()
        {
            assert!(
                events.insert(time, (client, sample)).is_none(),
                "two events at {time}"
            );
        }
    }
    let mut history = History::default();
    let mut tickets = std::collections::BTreeMap::new();
    for (time, (client, sample)) in events {
        if time == sample.invoked {
            tickets.insert(client, history.invoke(client, 1, sample.key, sample.call));
        } else {
            let index = sample.index;
            let list = sample.list.clone();
            let update = sample.call.is_update();
            let answer = if update {
                Answer::Written { index }
            } else {
                Answer::Value { list, index }
            };
            history.answer(tickets[&client], answer);
        }
    }
    history
}
