//! The core on simulated clusters, one module per subject.

mod check_quorum;
mod clock;
mod commitment;
mod durability;
mod elections;
mod flow_control;
mod founding;
mod hostile_peer;
mod leadership_transfer;
mod pre_vote;
mod repair;
mod replay;
mod replication;
