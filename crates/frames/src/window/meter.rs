//! Counting frames, and timing orders.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::scene::{FrameTimes, NodeSeen, Scene, Seen};
use bevy::prelude::*;
use bevy_raft::prelude::*;
use raftian_lab::report::statistics::{ms, quantile};
use raftian_raft::Term;

use super::Nudge;

/// Longest wait, after the warm-up, for the node to become leader.
const LEADER_WAIT: Duration = Duration::from_secs(10);

/// Time after which an unanswered order counts as unseen.
const ORDER_WAIT: Duration = Duration::from_secs(1);

/// Counter of the messages that the window's node has sent.
pub(super) type Sent = Box<dyn Fn() -> u64 + Send + Sync>;

/// Configuration and results of the measurement.
#[derive(Resource)]
pub(super) struct Meter {
    warm_up: Duration,
    seconds: u64,
    /// Time between two orders; zero for none.
    order_every: Duration,
    sent: Option<Sent>,
    /// Receives the result after the last frame.
    result: Arc<Mutex<Option<Seen>>>,
    first: Option<Instant>,
    measuring: Option<Measuring>,
}

struct Measuring {
    began: Instant,
    last: Instant,
    /// Start and frames of the current second.
    second: (Instant, u32),
    log: Vec<(f64, u32)>,
    frames_ms: Vec<f32>,
    led: Duration,
    /// Term and messages sent at the beginning.
    before: (Term, u64),
    next_order: Instant,
    orders: BTreeMap<ProposalId, Instant>,
    commits_ms: Vec<f64>,
}

impl Meter {
    pub(super) fn new(scene: &Scene, sent: Option<Sent>, result: Arc<Mutex<Option<Seen>>>) -> Self {
        let every = if scene.orders > 0.0 {
            1.0 / scene.orders
        } else {
            0.0
        };
        Meter {
            warm_up: Duration::try_from_secs_f64(scene.warm_up).unwrap_or_default(),
            seconds: scene.seconds,
            order_every: Duration::try_from_secs_f64(every).unwrap_or_default(),
            sent,
            result,
            first: None,
            measuring: None,
        }
    }

    fn sent(&self) -> u64 {
        self.sent.as_ref().map_or(0, |sent| sent())
    }

    /// Whether the warm-up is over and the node leads, or its time to become leader has passed.
    fn is_ready(&mut self, now: Instant, leads: bool) -> bool {
        let waited = now - *self.first.get_or_insert(now);
        waited >= self.warm_up
            && (self.sent.is_none() || leads || waited >= self.warm_up + LEADER_WAIT)
    }

    fn begin(&mut self, now: Instant, term: Term) {
        self.measuring = Some(Measuring {
            began: now,
            last: now,
            second: (now, 0),
            log: Vec::new(),
            frames_ms: Vec::new(),
            led: Duration::ZERO,
            before: (term, self.sent()),
            next_order: now + self.order_every / 2,
            orders: BTreeMap::new(),
            commits_ms: Vec::new(),
        });
    }

    /// Counts the frame that ends at `now`; returns the result after the last frame.
    fn count(&mut self, now: Instant, leads: bool, term: Term) -> Option<Seen> {
        let sent = self.sent();
        let has_node = self.sent.is_some();
        let measuring = self.measuring.as_mut()?;
        let frame = now - measuring.last;
        measuring.last = now;
        measuring.frames_ms.push((frame.as_secs_f64() * 1e3) as f32);
        if leads {
            measuring.led += frame;
        }
        let (second, frames) = &mut measuring.second;
        *frames += 1;
        let elapsed = now - *second;
        if elapsed < Duration::from_secs(1) {
            return None;
        }
        let unix = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let fps = (f64::from(*frames) / elapsed.as_secs_f64()).round();
        measuring.log.push((unix.as_secs_f64(), fps as u32));
        measuring.second = (now, 0);
        if (measuring.log.len() as u64) < self.seconds {
            return None;
        }
        let measured = self.measuring.take()?;
        let seconds = (now - measured.began).as_secs_f64();
        let (term_before, sent_before) = measured.before;
        let node = has_node.then(|| NodeSeen {
            led: measured.led.as_secs_f64() / seconds,
            terms: term.0.saturating_sub(term_before.0),
            messages_per_s: sent.saturating_sub(sent_before) as f64 / seconds,
        });
        Some(Seen {
            profile: if cfg!(debug_assertions) {
                "debug"
            } else {
                "release"
            }
            .to_owned(),
            frames: measured.frames_ms.len() as u64,
            frame_ms: frame_times(measured.frames_ms),
            unseen: measured
                .orders
                .values()
                .filter(|proposed| now - **proposed >= ORDER_WAIT)
                .count() as u64,
            log: measured.log,
            commits_ms: measured.commits_ms,
            node,
            adapter: None,
        })
    }
}

fn frame_times(frames: Vec<f32>) -> FrameTimes {
    let mut sorted: Vec<f64> = frames.into_iter().map(f64::from).collect();
    let mean = sorted.iter().sum::<f64>() / sorted.len() as f64;
    sorted.sort_by(f64::total_cmp);
    let of = |percent| quantile(&sorted, percent).unwrap_or(f64::NAN);
    FrameTimes {
        mean,
        p50: of(50),
        p95: of(95),
        p99: of(99),
        max: of(100),
    }
}

pub(super) fn plugin(app: &mut App, meter: Meter) {
    app.insert_resource(meter)
        .add_systems(First, measure)
        .add_systems(Update, propose)
        .add_observer(note_commit);
    app.add_systems(
        Startup,
        |adapter: Option<Res<bevy::render::renderer::RenderAdapterInfo>>,
         mut commands: Commands| {
            if let Some(adapter) = adapter {
                let name = &adapter.name;
                let kind = adapter.device_type;
                let backend = adapter.backend;
                commands.insert_resource(Adapter(format!("{name} ({kind:?}, {backend:?})")));
            }
        },
    );
}

/// Name of the graphics adapter.
#[derive(Resource)]
struct Adapter(String);

fn measure(
    mut meter: ResMut<Meter>,
    status: Option<Res<RaftStatus>>,
    adapter: Option<Res<Adapter>>,
    mut exit: MessageWriter<AppExit>,
) {
    let now = Instant::now();
    let term = status.as_ref().map_or(Term(0), |status| status.term());
    let leads =
        status.is_some_and(|status| status.leader().is_some() && status.leader() == status.id());
    if meter.measuring.is_none() {
        if meter.is_ready(now, leads) {
            meter.begin(now, term);
        }
    } else if let Some(seen) = meter.count(now, leads, term) {
        let seen = Seen {
            adapter: adapter.map(|adapter| adapter.0.clone()),
            ..seen
        };
        *meter.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
        exit.write(AppExit::Success);
    }
}

fn propose(mut meter: ResMut<Meter>, mut commands: Commands) {
    let every = meter.order_every;
    if meter.sent.is_none() || every.is_zero() {
        return;
    }
    let Some(measuring) = &mut meter.measuring else {
        return;
    };
    let now = Instant::now();
    if now >= measuring.next_order {
        measuring.orders.insert(commands.propose(Nudge), now);
        measuring.next_order += every;
    }
}

fn note_commit(outcome: On<ProposalOutcome>, mut meter: ResMut<Meter>) {
    let Some(measuring) = &mut meter.measuring else {
        return;
    };
    // A rejected order counts as unseen.
    if matches!(outcome.outcome, Outcome::Committed(_))
        && let Some(proposed) = measuring.orders.remove(&outcome.id)
    {
        measuring.commits_ms.push(ms(proposed.elapsed()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter(seconds: u64) -> Meter {
        let scene = Scene {
            dots: 0,
            fps: None,
            warm_up: 2.0,
            seconds,
            headless: true,
            orders: 2.0,
            seed: 1,
            node: None,
        };
        Meter::new(&scene, None, Arc::default())
    }

    #[test]
    fn frame_times_and_rates_are_measured() {
        let mut meter = meter(2);
        let start = Instant::now();
        assert!(
            !meter.is_ready(start, false) && meter.is_ready(start + Duration::from_secs(2), false)
        );
        meter.begin(start, Term(3));
        let mut at = start;
        let frames = [10; 100]
            .into_iter()
            .chain([40; 25])
            .map(Duration::from_millis);
        let seen: Vec<_> = frames
            .filter_map(|frame| {
                at += frame;
                meter.count(at, false, Term(3))
            })
            .collect();
        let [seen] = &seen[..] else {
            panic!("the last frame ends it: {seen:?}")
        };
        assert_eq!(
            seen.log.iter().map(|(_, fps)| *fps).collect::<Vec<_>>(),
            [100, 25]
        );
        assert_eq!((seen.frames, seen.node), (125, None));
        let FrameTimes {
            mean,
            p50,
            p95,
            max,
            ..
        } = seen.frame_ms;
        assert!(
            (mean - 16.0).abs() < 1e-3 && (p50 - 10.0).abs() < 1e-3,
            "{seen:?}"
        );
        assert!(
            (p95 - 40.0).abs() < 1e-3 && (max - 40.0).abs() < 1e-3,
            "{seen:?}"
        );
    }

    #[test]
    fn node_counters_cover_only_the_measured_time() {
        let sent = Arc::new(std::sync::atomic::AtomicU64::new(50));
        let counter = Arc::clone(&sent);
        let mut meter = meter(1);
        meter.sent = Some(Box::new(move || {
            counter.load(std::sync::atomic::Ordering::Relaxed)
        }));
        let start = Instant::now();
        assert!(!meter.is_ready(start, true));
        assert!(
            !meter.is_ready(start + Duration::from_secs(3), false),
            "it does not lead yet"
        );
        assert!(
            meter.is_ready(start + Duration::from_secs(12), false),
            "it will not"
        );
        meter.begin(start, Term(3));
        meter.count(start + Duration::from_millis(250), true, Term(3));
        sent.store(450, std::sync::atomic::Ordering::Relaxed);
        let seen = meter
            .count(start + Duration::from_secs(1), false, Term(5))
            .expect("a second has passed");
        let node = seen.node.expect("there is one");
        assert_eq!(
            (node.led, node.terms, node.messages_per_s),
            (0.25, 2, 400.0)
        );
    }
}
