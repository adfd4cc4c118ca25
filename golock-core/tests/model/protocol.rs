//! The whole: clients, what is on its way between them and the server, the server's row and clock. Its states are
//! all that can come of any order of deliveries, losses, duplicates, pauses, crashes and steps of the clock.
//!
//! A loss needs no action of its own: what is never delivered is lost. Neither does a pause: a client may always
//! leave the next step to others, for as long as it likes. Neither do clocks that run at different rates: each
//! holder's clock is as slow as its margin allows, so a belief lasts until the very end that it was told.

use stateright::{Model, Property};

use crate::bugs::Bug;
use crate::client::{Client, Patience, Phase, STATEMENT, Step};
use crate::laws::{Deed, Law, Ledger};
use crate::server::{Answer, At, Grant, LEASE, Row, Statement, Tick};

/// How long an answer may be on its way: longer than the lease, so that some come too late.
const ANSWER: Tick = 3;
/// What the server's clock shows when the true time is 0: it may be set back.
const SERVER_AT_START: Tick = 3;

/// A space to search: how many clients, and what may go wrong.
#[derive(Clone, Debug)]
pub(crate) struct Protocol {
    /// Grants of one name, each wanted by a client of its own, or several by one.
    pub(crate) grants: u8,
    /// The true time at which everything stops.
    pub(crate) end: Tick,
    /// What the first client may do, in whose way everything comes, and each of the others.
    pub(crate) first: Patience,
    pub(crate) others: Patience,
    /// How many statements and answers may be on their way at once.
    pub(crate) on_the_way: usize,
    /// How many acquires may be delivered twice.
    pub(crate) copies: u8,
    /// How many times an operator, a lost row or a step of the server's clock interferes, and with what.
    pub(crate) incidents: u8,
    pub(crate) possible: &'static [Incident],
    pub(crate) bug: Option<Bug>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Incident {
    ClockAhead,
    ClockBack,
    Revoke,
    ForceUnlock,
    /// The row is deleted: purged once it is free, or truncated under a holder.
    RowGone,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) now: Tick,
    /// The server's clock at `now`.
    pub(crate) server_now: Tick,
    pub(crate) row: Option<Row>,
    pub(crate) clients: Vec<Client>,
    /// In order, so that states which differ in nothing else are one.
    on_the_way: Vec<Message>,
    pub(crate) ledger: Ledger,
    copies: u8,
    incidents: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Message {
    grant: Grant,
    /// When the statement was sent.
    sent: Tick,
    /// Which acquire of the grant it is, or answers.
    asked: u8,
    copy: bool,
    body: Body,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Body {
    Statement(Statement),
    Answer(Answer),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    TimePasses,
    Client(Grant, Step),
    Deliver(Message),
    /// Delivers an acquire, and leaves another on its way.
    Duplicate(Message),
    Happens(Incident),
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            now: 0,
            server_now: SERVER_AT_START,
            row: None,
            clients: vec![Client::NEW; self.grants.into()],
            on_the_way: Vec::new(),
            ledger: Ledger::of(self.grants),
            copies: self.copies,
            incidents: self.incidents,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.ledger.broken.is_some() {
            return;
        }
        if state.now < self.end {
            actions.push(Action::TimePasses);
        }
        let mut steps = Vec::new();
        for (grant, client) in state.clients.iter().enumerate() {
            client.steps(state.now, self.patience(grant), &mut steps);
            actions.extend(steps.drain(..).map(|step| Action::Client(grant as Grant, step)));
            // Which of the others asks first is only a matter of names.
            if grant > 0 && client.phase == Phase::New {
                break;
            }
        }
        for message in &state.on_the_way {
            actions.push(Action::Deliver(*message));
            if state.copies > 0 && message.body == Body::Statement(Statement::Acquire) {
                actions.push(Action::Duplicate(*message));
            }
        }
        if state.incidents > 0 {
            let possible = self.possible.iter().filter(|incident| state.allows(**incident));
            actions.extend(possible.map(|incident| Action::Happens(*incident)));
        }
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = before.clone();
        match action {
            Action::TimePasses => state.time_passes(),
            Action::Client(grant, step) => {
                let client = &mut state.clients[usize::from(grant)];
                let sends = client.step(step, state.now, self.bug);
                state.send(grant, sends);
            }
            Action::Deliver(message) => {
                let place = state.on_the_way.binary_search(&message).ok()?;
                state.on_the_way.remove(place);
                state.deliver(message, self.bug);
            }
            Action::Duplicate(message) => {
                let place = state.on_the_way.binary_search(&message).ok()?;
                state.on_the_way[place].copy = true;
                state.copies -= 1;
                state.deliver(message, self.bug);
            }
            Action::Happens(incident) => {
                state.incidents -= 1;
                state.happens(incident, self.bug);
            }
        }
        state.tidy(self);
        Some(state)
    }

    fn within_boundary(&self, state: &State) -> bool {
        state.on_the_way.len() <= self.on_the_way
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = crate::properties::laws();
        properties.extend(crate::properties::always());
        properties.extend(crate::properties::sometimes());
        properties
    }
}

impl Protocol {
    fn patience(&self, grant: usize) -> Patience {
        if grant == 0 { self.first } else { self.others }
    }
}

impl State {
    fn time_passes(&mut self) {
        self.now += 1;
        self.server_now += 1;
        let now = self.now;
        self.on_the_way.retain(|message| match message.body {
            Body::Statement(_) => now < message.sent + STATEMENT,
            Body::Answer(_) => now < message.sent + ANSWER,
        });
    }

    fn send(&mut self, grant: Grant, statement: Option<Statement>) {
        let Some(statement) = statement else { return };
        let is_acquire = statement == Statement::Acquire;
        let asked = if is_acquire { self.clients[usize::from(grant)].asked } else { 0 };
        let body = Body::Statement(statement);
        self.on_the_way.push(Message { grant, sent: self.now, asked, copy: false, body });
    }

    fn deliver(&mut self, message: Message, bug: Option<Bug>) {
        let Message { grant, sent, asked, copy, body } = message;
        match body {
            Body::Statement(statement) => {
                let (before, now) = (self.row, self.server_now);
                let answer = At { now, bug }.execute(&mut self.row, grant, statement);
                let after = self.row;
                self.ledger.judge(&Deed { grant, statement, copy, before, after, answer, now });
                self.on_the_way.push(Message { body: Body::Answer(answer), ..message });
            }
            Body::Answer(answer) => {
                let client = &mut self.clients[usize::from(grant)];
                if client.awaits(answer, asked) {
                    match client.hear(answer, sent, self.now, bug) {
                        Ok(sends) => self.send(grant, sends),
                        Err(law) => self.ledger.breaks(law),
                    }
                }
            }
        }
    }

    fn allows(&self, incident: Incident) -> bool {
        let held = self.row.is_some_and(|row| row.expires_at > self.server_now);
        match incident {
            Incident::ClockAhead => true,
            Incident::ClockBack => self.server_now >= SERVER_AT_START,
            Incident::Revoke | Incident::ForceUnlock => held,
            // The one exception of promise 2: the row is lost, and the server's clock stands before the last token.
            Incident::RowGone => self.row.is_some() && self.ledger.clock_is_past_tokens(self.server_now),
        }
    }

    fn happens(&mut self, incident: Incident, bug: Option<Bug>) {
        let at = At { now: self.server_now, bug };
        match incident {
            Incident::ClockAhead => {
                self.server_now += LEASE;
                self.ledger.fenced_only = true;
            }
            Incident::ClockBack => self.server_now -= LEASE,
            Incident::Revoke | Incident::ForceUnlock => {
                let (before, at_once) = (self.row, incident == Incident::ForceUnlock);
                if let Some(token) = at.fence(&mut self.row, at_once) {
                    self.ledger.fenced(before, token, at_once);
                }
            }
            Incident::RowGone => {
                self.row = None;
                self.ledger.row_gone(self.server_now);
            }
        }
    }

    /// Forgets what can make no difference any more, and puts the rest in order: the fewer states are told apart,
    /// the more can be searched.
    fn tidy(&mut self, protocol: &Protocol) {
        for (grant, client) in self.clients.iter_mut().enumerate() {
            client.tidy(self.now, protocol.patience(grant));
        }
        let clients = &self.clients;
        self.on_the_way.retain(|message| match message.body {
            Body::Answer(answer) => clients[usize::from(message.grant)].awaits(answer, message.asked),
            Body::Statement(_) => true,
        });
        self.on_the_way.sort_unstable();
        let clock_may_go_back = self.incidents > 0 && protocol.possible.contains(&Incident::ClockBack);
        if !clock_may_go_back {
            self.ledger.forget_the_dead(self.server_now);
        }
        for (grant, client) in (0..).zip(&self.clients) {
            let is_past = client.is_gone() && self.on_the_way.iter().all(|message| message.grant != grant);
            if is_past && !self.ledger.has_life(grant) {
                // No statement of it can come any more: that it was released is of no use to anybody.
                self.ledger.forget(grant);
                if let Some(row) = &mut self.row {
                    row.released = row.released.filter(|released| *released != grant);
                    row.grant = row.grant.filter(|holder| *holder != grant);
                }
            }
        }
    }

    /// Whether an acquire of this grant may still arrive.
    pub(crate) fn acquire_is_on_its_way(&self, grant: Grant) -> bool {
        let acquire = Body::Statement(Statement::Acquire);
        self.on_the_way.iter().any(|message| message.grant == grant && message.body == acquire)
    }

    pub(crate) fn grants(&self) -> impl Iterator<Item = (Grant, &Client)> {
        (0..).zip(&self.clients)
    }

    pub(crate) fn breaks(&self, law: Law) -> bool {
        self.ledger.broken == Some(law)
    }
}
