//! Effects of the commands.

use super::{
    Archetype, BOT_SILENCE, Chair, Command, HANDICAPS, Level, MAX_BOT_ORDERS, Occupant, Origin,
    PlayerId, Playing, Refusal, SHORTEST_DECISION, SeatedBot, SeatedPlayer, SetupChange, Table,
};
use crate::crowns::{Crowns, Order, PactOrder, Rules};

impl Command {
    /// Whether the program of a member sends it, and not the player.
    pub fn is_of_member(&self) -> bool {
        match self {
            Command::BotOrders { .. }
            | Command::BotAlive { .. }
            | Command::AdoptBot { .. }
            | Command::NoteAbsent { .. }
            | Command::StewardOrder { .. }
            | Command::Distance(_) => true,
            Command::Sit
            | Command::Stand
            | Command::Ready(_)
            | Command::Configure(_)
            | Command::Handicap { .. }
            | Command::AddBot { .. }
            | Command::RemoveBot { .. }
            | Command::Start
            | Command::Order(_)
            | Command::Present
            | Command::Abandon
            | Command::Steward(_)
            | Command::Rematch(_) => false,
        }
    }

    /// Whether it concerns the match that its sender saw: it must not change the next one.
    fn is_of_round(&self) -> bool {
        match self {
            Command::Order(_)
            | Command::BotOrders { .. }
            | Command::StewardOrder { .. }
            | Command::Start
            | Command::Ready(_)
            | Command::Rematch(_)
            | Command::Abandon => true,
            Command::Sit
            | Command::Stand
            | Command::Configure(_)
            | Command::Handicap { .. }
            | Command::AddBot { .. }
            | Command::RemoveBot { .. }
            | Command::BotAlive { .. }
            | Command::AdoptBot { .. }
            | Command::NoteAbsent { .. }
            | Command::Present
            | Command::Steward(_)
            | Command::Distance(_) => false,
        }
    }
}

/// Whether a bot may give this order: it gives nothing away, and does not talk.
fn is_for_bots(order: &Order) -> bool {
    match order {
        Order::Give { .. }
        | Order::Concede
        | Order::Say(_)
        | Order::Ping(_)
        | Order::Pact {
            order: PactOrder::Offer,
            ..
        } => false,
        Order::Build(_)
        | Order::CancelBuild
        | Order::Train(..)
        | Order::March { .. }
        | Order::TurnBack { .. }
        | Order::CallHome(_)
        | Order::Swap { .. }
        | Order::Repair(_)
        | Order::Pact { .. } => true,
    }
}

impl Table {
    /// Performs what is due up to the stamp of the command, then the command.
    ///
    /// # Errors
    /// [`Refusal`]; the command then changes nothing but when its sender was seen last. An order
    /// that the rules refuse still counts against the limit of orders.
    pub fn apply(&mut self, command: &Command, origin: &Origin) -> Result<(), Refusal> {
        self.advance(origin.stamp);
        let origin = &Origin {
            player: self.seated_as(origin.player),
            ..*origin
        };
        if !command.is_of_member() {
            self.note_sign(origin.player, origin.stamp);
        }
        if command.is_of_round() && origin.round != self.rounds {
            return Err(Refusal::OtherMatch);
        }
        match command {
            Command::Sit => self.sit(origin),
            Command::Stand => self.stand(origin.player),
            Command::Ready(is_ready) => self.ready(origin.player, *is_ready),
            Command::Configure(change) => self.configure(origin.player, *change),
            Command::Handicap { seat, percent } => self.handicap(origin.player, *seat, *percent),
            Command::AddBot { level, archetype } => self.add_bot(origin, *level, *archetype),
            Command::RemoveBot { seat } => self.remove_bot(origin.player, *seat),
            Command::Start => self.start(origin),
            Command::Order(order) => {
                let seat = self.match_seat(origin.player)?;
                self.order(seat, order, origin.stamp)
            }
            Command::BotOrders {
                seat,
                decision,
                orders,
            } => self.bot_orders(origin, *seat, *decision, orders),
            Command::BotAlive { seat } => self.bot_alive(origin, *seat),
            Command::AdoptBot { seat } => self.adopt_bot(origin, *seat),
            Command::NoteAbsent { seat } => self.note_absent(*seat, origin),
            Command::Present => self.present(origin.player),
            Command::Abandon => self.abandon(origin.stamp),
            Command::Steward(is_allowed) => self.allow_steward(origin.player, *is_allowed),
            Command::StewardOrder { seat, order } => self.steward_order(origin, *seat, order),
            Command::Distance(is_far) => {
                self.is_far = *is_far;
                Ok(())
            }
            Command::Rematch(is_wanted) => self.rematch(origin, *is_wanted),
        }
    }

    fn check_lobby(&self) -> Result<(), Refusal> {
        if self.is_playing() {
            Err(Refusal::Playing)
        } else {
            Ok(())
        }
    }

    /// Checks that no match is played and that the player may decide about the next one: has a
    /// seat, or no player with one is present.
    fn check_may_decide(&self, player: PlayerId) -> Result<(), Refusal> {
        self.check_lobby()?;
        if self.seat_of(player).is_some() || !self.has_present_player() {
            Ok(())
        } else {
            Err(Refusal::NoSeat)
        }
    }

    fn has_present_player(&self) -> bool {
        self.players().any(|(_, player)| player.is_present())
    }

    pub(super) fn player_mut(&mut self, player: PlayerId) -> Result<&mut SeatedPlayer, Refusal> {
        let players = self
            .chairs
            .iter_mut()
            .filter_map(|chair| match &mut chair.occupant {
                Occupant::Player(seated) => Some(seated),
                Occupant::Open | Occupant::Bot(_) => None,
            });
        let mut own = players.filter(|seated| seated.id == player);
        own.next().ok_or(Refusal::NoSeat)
    }

    fn bot_mut(&mut self, seat: u8) -> Result<&mut SeatedBot, Refusal> {
        let chair = self.chairs.get_mut(usize::from(seat));
        match chair.map(|chair| &mut chair.occupant) {
            Some(Occupant::Bot(bot)) => Ok(bot),
            Some(Occupant::Open | Occupant::Player(_)) | None => Err(Refusal::NoBot),
        }
    }

    /// Gives the first open seat to an occupant, or else the first one of an absent player.
    fn take_seat(&mut self, occupant: Occupant) -> Result<(), Refusal> {
        let is_open = |chair: &Chair| chair.occupant == Occupant::Open;
        if let Some(open) = self.chairs.iter_mut().find(|chair| is_open(chair)) {
            open.occupant = occupant;
            return Ok(());
        }
        let absent = self.chairs.iter_mut().find(|chair| chair.is_of_absent());
        let chair = absent.ok_or(Refusal::Full)?;
        *chair = Chair {
            occupant,
            ..Chair::OPEN
        };
        Ok(())
    }

    fn sit(&mut self, origin: &Origin) -> Result<(), Refusal> {
        let player = origin.player;
        self.check_lobby()?;
        if self.seat_of(player).is_some() {
            return Err(Refusal::HasSeat);
        }
        self.take_seat(Occupant::Player(SeatedPlayer {
            id: player,
            is_ready: false,
            absent_since: None,
            seen: origin.stamp,
            steward_at: None,
            has_steward: true,
            wants_rematch: false,
        }))?;
        self.reset_votes();
        Ok(())
    }

    fn stand(&mut self, player: PlayerId) -> Result<(), Refusal> {
        self.check_lobby()?;
        let seat = self.seat_of(player).ok_or(Refusal::NoSeat)?;
        self.chairs[usize::from(seat)] = Chair::OPEN;
        self.reset_votes();
        Ok(())
    }

    fn ready(&mut self, player: PlayerId, is_ready: bool) -> Result<(), Refusal> {
        self.check_lobby()?;
        self.player_mut(player)?.is_ready = is_ready;
        Ok(())
    }

    fn configure(&mut self, player: PlayerId, change: SetupChange) -> Result<(), Refusal> {
        self.check_may_decide(player)?;
        let setup = change.applied_to(self.setup);
        setup.check()?;
        if setup.is_sandbox != self.setup.is_sandbox && self.has_present_player() {
            return Err(Refusal::Sandbox);
        }
        let seats = usize::from(setup.seats);
        if self.occupied().count() > seats {
            return Err(Refusal::TooFewSeats);
        }
        self.free_absent();
        // Open seats go first.
        while self.chairs.len() > seats {
            let open = self
                .chairs
                .iter()
                .rposition(|chair| chair.occupant == Occupant::Open);
            self.chairs.remove(open.ok_or(Refusal::TooFewSeats)?);
        }
        self.chairs.resize(seats, Chair::OPEN);
        self.setup = setup;
        self.reset_votes();
        Ok(())
    }

    fn handicap(&mut self, player: PlayerId, seat: u8, percent: u64) -> Result<(), Refusal> {
        self.check_may_decide(player)?;
        if !HANDICAPS.contains(&percent) {
            return Err(Refusal::Handicap);
        }
        let chair = self.chairs.get_mut(usize::from(seat));
        chair.ok_or(Refusal::NoSuchSeat)?.handicap = percent;
        self.reset_votes();
        Ok(())
    }

    fn add_bot(
        &mut self,
        origin: &Origin,
        level: Level,
        archetype: Archetype,
    ) -> Result<(), Refusal> {
        self.check_may_decide(origin.player)?;
        self.take_seat(Occupant::Bot(SeatedBot {
            level,
            archetype,
            member: origin.member,
            decision: 0,
            seen: origin.stamp,
        }))?;
        self.reset_votes();
        Ok(())
    }

    fn remove_bot(&mut self, player: PlayerId, seat: u8) -> Result<(), Refusal> {
        self.check_may_decide(player)?;
        self.bot_mut(seat)?;
        self.chairs[usize::from(seat)] = Chair::OPEN;
        self.reset_votes();
        Ok(())
    }

    /// The taken seats without those of absent players.
    fn occupied(&self) -> impl Iterator<Item = &Chair> + '_ {
        let chairs = self.chairs.iter();
        chairs.filter(|chair| chair.occupant != Occupant::Open && !chair.is_of_absent())
    }

    /// Frees the seats of players who are not there.
    fn free_absent(&mut self) {
        for chair in &mut self.chairs {
            if chair.is_of_absent() {
                *chair = Chair::OPEN;
            }
        }
    }

    /// Players agree again after a change.
    pub(super) fn reset_votes(&mut self) {
        for chair in &mut self.chairs {
            if let Occupant::Player(seated) = &mut chair.occupant {
                seated.is_ready = false;
                seated.wants_rematch = false;
            }
        }
    }

    fn start(&mut self, origin: &Origin) -> Result<(), Refusal> {
        self.check_may_decide(origin.player)?;
        let is_waiting = |chair: &Chair| match &chair.occupant {
            Occupant::Player(seated) => seated.id != origin.player && !seated.is_ready,
            Occupant::Open | Occupant::Bot(_) => false,
        };
        if self.occupied().any(is_waiting) {
            return Err(Refusal::NotReady);
        }
        let chairs = self.occupied().cloned().collect();
        self.begin(chairs, origin)
    }

    /// Begins a match at these seats, all of which are taken.
    fn begin(&mut self, chairs: Vec<Chair>, origin: &Origin) -> Result<(), Refusal> {
        let seats = u8::try_from(chairs.len()).map_err(|_| Refusal::Seats)?;
        if seats < 2 {
            return Err(Refusal::Alone);
        }
        let rules = Rules::of_this_build();
        let game = Crowns::new(seats, origin.random, rules, 0).map_err(|_| Refusal::Seats)?;
        self.chairs = chairs;
        self.setup.seats = seats;
        let handicaps = (0..seats).zip(&self.chairs);
        let game = handicaps.fold(
            game.with_fair_window(self.window().saturating_mul(self.setup.speed)),
            |game, (seat, chair)| game.with_production(seat, chair.handicap),
        );
        for chair in &mut self.chairs {
            if let Occupant::Bot(bot) = &mut chair.occupant {
                bot.decision = 0;
                bot.seen = origin.stamp;
            }
            if let Occupant::Player(seated) = &mut chair.occupant {
                seated.steward_at = None;
            }
        }
        self.reset_votes();
        let match_seats = self.chairs.iter().filter_map(Chair::match_seat).collect();
        self.rounds = self.rounds.saturating_add(1);
        self.playing = Some(Playing {
            game,
            seats: match_seats,
            began: origin.stamp,
            speed: self.setup.speed,
            seed: origin.random,
        });
        Ok(())
    }

    /// The seat that a player has in the match.
    fn match_seat(&self, player: PlayerId) -> Result<u8, Refusal> {
        match self.match_seat_of(player) {
            Some(seat) => Ok(seat),
            None if self.seat_of(player).is_none() => Err(Refusal::NoSeat),
            None if self.playing.is_none() => Err(Refusal::NotPlaying),
            None => Err(Refusal::NotInMatch),
        }
    }

    pub(super) fn order(&mut self, seat: u8, order: &Order, stamp: u64) -> Result<(), Refusal> {
        let playing = self.playing.as_mut().ok_or(Refusal::NotPlaying)?;
        let was_played = playing.game.end().is_none();
        let clock = playing.clock(stamp);
        playing.game.order(seat, order, clock)?;
        let winner = playing.game.end().and_then(|end| end.winner);
        if was_played && let Some(winner) = winner {
            self.note_win(winner);
        }
        Ok(())
    }

    fn bot_orders(
        &mut self,
        origin: &Origin,
        seat: u8,
        decision: u64,
        orders: &[Order],
    ) -> Result<(), Refusal> {
        self.own_bot(origin, seat)?;
        let clock = self.clock(origin.stamp).ok_or(Refusal::NotPlaying)?;
        if orders.len() > MAX_BOT_ORDERS || !orders.iter().all(is_for_bots) {
            return Err(Refusal::NotForBots);
        }
        let bot = self.bot_mut(seat)?;
        if decision <= bot.decision || decision > clock / SHORTEST_DECISION + 1 {
            return Err(Refusal::OldDecision);
        }
        bot.decision = decision;
        bot.seen = origin.stamp;
        // The match has moved on since the decision: a refused order does not stop the others.
        for order in orders {
            let _may_be_refused = self.order(seat, order, origin.stamp);
        }
        Ok(())
    }

    /// Notes a sign of a bot from the member that runs it.
    fn bot_alive(&mut self, origin: &Origin, seat: u8) -> Result<(), Refusal> {
        self.own_bot(origin, seat)?.seen = origin.stamp;
        Ok(())
    }

    /// The bot of a seat, for the member that runs it.
    fn own_bot(&mut self, origin: &Origin, seat: u8) -> Result<&mut SeatedBot, Refusal> {
        if !self.is_playing() {
            return Err(Refusal::NotPlaying);
        }
        let bot = self.bot_mut(seat)?;
        if bot.member != origin.member {
            return Err(Refusal::NotYourBot);
        }
        Ok(bot)
    }

    /// Gives a bot without a sign to the sender. A member cannot take a bot from one that runs it.
    fn adopt_bot(&mut self, origin: &Origin, seat: u8) -> Result<(), Refusal> {
        let is_playing = self.is_playing();
        let bot = self.bot_mut(seat)?;
        if is_playing && origin.stamp < bot.seen.saturating_add(BOT_SILENCE) {
            return Err(Refusal::BotAlive);
        }
        bot.member = origin.member;
        bot.seen = origin.stamp;
        Ok(())
    }

    /// Votes for another match. With the votes of more than half of the present players it begins,
    /// and each takes the next seat.
    fn rematch(&mut self, origin: &Origin, is_wanted: bool) -> Result<(), Refusal> {
        let game = self.game().ok_or(Refusal::NotPlayed)?;
        if game.end().is_none() {
            return Err(Refusal::NotEnded);
        }
        self.player_mut(origin.player)?.wants_rematch = is_wanted;
        self.count_votes(origin)
    }

    /// Begins another match if enough of the present players want one.
    pub(super) fn count_votes(&mut self, origin: &Origin) -> Result<(), Refusal> {
        let players = self
            .chairs
            .iter()
            .filter_map(|chair| match &chair.occupant {
                Occupant::Player(seated) if seated.is_present() => Some(seated.wants_rematch),
                Occupant::Player(_) | Occupant::Open | Occupant::Bot(_) => None,
            });
        let (mut voters, mut votes) = (0, 0);
        for wants in players {
            voters += 1;
            votes += usize::from(wants);
        }
        if votes * 2 <= voters {
            return Ok(());
        }
        // Those who left do not play again.
        let mut chairs: Vec<_> = self.occupied().cloned().collect();
        chairs.rotate_left(1);
        match self.begin(chairs.clone(), origin) {
            // The only one left waits for others.
            Err(Refusal::Alone) => {
                self.playing = None;
                self.chairs = chairs;
                self.chairs.resize(2, Chair::OPEN);
                self.setup.seats = 2;
                Ok(())
            }
            begun => begun,
        }
    }
}
