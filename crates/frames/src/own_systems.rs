//! Time that the game's own systems take, from the spans in which the engine runs systems.
//!
//! The engine has these spans only with its feature `trace`, which is a feature of this package.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::subscriber::Interest;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

/// Names of spans in which the engine runs a system, and applies its commands.
const SPANS: [&str; 2] = ["system", "system_commands"];

/// Crates whose systems are the game's own, the overlay's library among them.
const OWN: [&str; 3] = ["raftian", "bevy_raft", "bevy_egui"];

/// Nanoseconds that own systems have taken since they were last asked for.
#[derive(Clone, Default)]
pub(crate) struct OwnSystems {
    nanos: Arc<AtomicU64>,
    seen: Arc<AtomicU64>,
}

/// A system that is an own one.
struct OwnSystem;

thread_local! {
    /// Own systems that run within each other, and the start of the outermost.
    static RUNNING: Cell<(u32, Option<Instant>)> = const { Cell::new((0, None)) };
}

impl OwnSystems {
    /// Begins to observe the systems of this process.
    pub(crate) fn observe() -> OwnSystems {
        let systems = OwnSystems::default();
        let _other_log = tracing_subscriber::registry()
            .with(systems.clone())
            .try_init();
        systems
    }

    /// Time since the last call; `None` if the engine has no spans.
    pub(crate) fn take(&self) -> Option<Duration> {
        let nanos = self.nanos.swap(0, Ordering::Relaxed);
        (self.seen.load(Ordering::Relaxed) > 0).then(|| Duration::from_nanos(nanos))
    }
}

impl<S> Layer<S> for OwnSystems
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if metadata.is_span() && SPANS.contains(&metadata.name()) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut name = Name(String::new());
        attributes.record(&mut name);
        let path = name.0.split("::").next().unwrap_or_default();
        if OWN.contains(&path)
            && let Some(span) = context.span(id)
        {
            self.seen.fetch_add(1, Ordering::Relaxed);
            span.extensions_mut().insert(OwnSystem);
        }
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        if is_own(id, &context) {
            let (depth, start) = RUNNING.get();
            RUNNING.set((depth + 1, start.or_else(|| Some(Instant::now()))));
        }
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        if !is_own(id, &context) {
            return;
        }
        match RUNNING.get() {
            (1, Some(start)) => {
                let nanos = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
                self.nanos.fetch_add(nanos, Ordering::Relaxed);
                RUNNING.set((0, None));
            }
            (depth, start) => RUNNING.set((depth.saturating_sub(1), start)),
        }
    }
}

fn is_own<S>(id: &Id, context: &Context<'_, S>) -> bool
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    context
        .span(id)
        .is_some_and(|span| span.extensions().get::<OwnSystem>().is_some())
}

/// The field `name` of a span.
struct Name(String);

impl Visit for Name {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "name" {
            value.clone_into(&mut self.0);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "name" {
            self.0 = format!("{value:?}").trim_matches('"').to_owned();
        }
    }
}
