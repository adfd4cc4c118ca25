//! What the server has promised to whom, and what anybody did that the promises do not allow.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use golock_core::store::{
    AcquireAnswer, AcquireRequest, ReleaseAnswer, ReleaseRequest, RenewAnswer, RenewRequest,
};
use golock_core::{Error, FencingToken, GrantId, Lock, LockName, LockWatch};
use tokio::time::Instant;

/// Kept beside the server, and told of each of its steps and of all that callers see.
#[derive(Default)]
pub(super) struct Ledger {
    pages: BTreeMap<LockName, Page>,
    pub(super) grants: usize,
    /// Pairs that believed in one name at one time.
    pub(super) overlaps: usize,
    /// All that was wrong, the first things first.
    pub(super) wrong: Vec<String>,
    /// Since when timers may be late: nobody is blamed for what they are to be on time for.
    pub(super) frozen_at: Option<Instant>,
}

/// One name.
#[derive(Default)]
struct Page {
    life: Option<Life>,
    /// Until when the server may refuse: a lease, or what is left of its `lock_at_least`.
    taken_until: Option<Instant>,
    newest: Option<FencingToken>,
    last_released: Option<GrantId>,
    /// Until when each token's holder was promised its lease.
    promised: BTreeMap<FencingToken, Instant>,
    /// Which grant has which token: more than one, if a late acquire of it came when its first lease was over.
    granted: BTreeMap<FencingToken, GrantId>,
    /// Grants that a release has reached, or an operator.
    ended: BTreeSet<GrantId>,
    believers: Vec<Believer>,
}

struct Life {
    grant: GrantId,
    token: FencingToken,
    since: Instant,
    until: Instant,
}

struct Believer {
    node: usize,
    watch: LockWatch,
}

impl Ledger {
    pub(super) fn acquired(&mut self, request: &AcquireRequest, answer: &AcquireAnswer) {
        let now = Instant::now();
        let page = self.pages.entry(request.name.clone()).or_default();
        let mut wrong = Vec::new();
        match answer {
            AcquireAnswer::Granted { token, remaining, .. } => {
                wrong.extend(page.granted(request.grant, *token, now + *remaining, now));
            }
            AcquireAnswer::Held(holder) => {
                let taken_until = page.taken_until.filter(|until| *until > now);
                if taken_until.is_none_or(|until| now + holder.remaining > until) {
                    wrong.push("refused although free");
                }
            }
            _ => {}
        }
        wrong.extend(page.uncovered(now));
        self.blame(&request.name, wrong, &format_args!("{:?} {answer:?}", request.grant));
    }

    pub(super) fn renewed(&mut self, request: &RenewRequest, answer: &RenewAnswer) {
        let now = Instant::now();
        let page = self.pages.entry(request.name.clone()).or_default();
        let alive = page
            .life
            .as_mut()
            .filter(|life| life.until > now && (life.grant, life.token) == (request.grant, request.token));
        let mut wrong = Vec::new();
        match (answer, alive) {
            (RenewAnswer::Renewed { remaining, .. }, Some(life)) => {
                if now + *remaining < life.until {
                    wrong.push("S7 a renewal shortened its lease");
                }
                life.until = now + *remaining;
                page.promised.insert(request.token, life.until);
                page.taken_until = Some(life.until);
            }
            (RenewAnswer::Renewed { .. }, None) => wrong.push("S7 a renewal revived a lease"),
            (RenewAnswer::Lost(_), Some(_)) => wrong.push("S5 a live lease was called lost"),
            (_, _) => {}
        }
        wrong.extend(page.uncovered(now));
        self.blame(&request.name, wrong, &format_args!("{:?} {answer:?}", request.grant));
    }

    pub(super) fn released(&mut self, request: &ReleaseRequest, answer: ReleaseAnswer) {
        let now = Instant::now();
        let page = self.pages.entry(request.name.clone()).or_default();
        let mut wrong = Vec::new();
        match (answer, page.life.take()) {
            (ReleaseAnswer::Released, Some(life)) if life.grant == request.grant => {
                let kept = now.max(life.since + request.lock_at_least);
                page.taken_until = Some(life.until.min(kept));
                page.promised.insert(life.token, life.until.min(now));
            }
            (ReleaseAnswer::Released, life) => {
                wrong.push("S5 released what another grant holds");
                page.life = life;
            }
            (_, Some(life)) if life.grant == request.grant && life.until > now => {
                wrong.push("S6 a holder's release did nothing");
            }
            (_, life) => page.life = life,
        }
        page.last_released = Some(request.grant);
        page.ended.insert(request.grant);
        self.blame(&request.name, wrong, &format_args!("{:?} {answer:?}", request.grant));
    }

    /// An operator has fenced the holder.
    pub(super) fn fenced(&mut self, name: &LockName, token: FencingToken, at_once: bool) {
        let now = Instant::now();
        let page = self.pages.entry(name.clone()).or_default();
        let wrong = page.number(token);
        if let Some(life) = page.life.take() {
            page.ended.insert(life.grant);
            page.last_released = Some(life.grant);
        }
        if at_once {
            page.taken_until = Some(now);
            page.believers.clear();
            page.promised.clear();
        }
        self.blame(name, wrong, &format_args!("{token}"));
    }

    /// Names that were free for `idle_for` are known no more; their tokens grow all the same.
    pub(super) fn purged(&mut self, idle_for: Duration) {
        let now = Instant::now();
        for page in self.pages.values_mut() {
            if page.taken_until.is_none_or(|until| until + idle_for <= now) {
                page.last_released = None;
            }
        }
    }

    /// All rows are lost: that ends the promise of no second holder for the leases they held, and no other.
    pub(super) fn rows_lost(&mut self) {
        for page in self.pages.values_mut() {
            let Page { newest, granted, ended, .. } = std::mem::take(page);
            *page = Page { newest, granted, ended, ..Page::default() };
        }
    }

    /// A caller of `node` has its lock: a belief begins.
    pub(super) fn handed_over(&mut self, node: usize, lock: &Lock) {
        let name = lock.watch().name().clone();
        self.grants += 1;
        let page = self.pages.entry(name.clone()).or_default();
        // Beliefs that have ended do not come back.
        page.believers.retain(|believer| believer.watch.is_held());
        let mut wrong = Vec::new();
        if !page.granted.contains_key(&lock.token()) {
            wrong.push("S14 held, but never granted");
        }
        // Else the row was lost, or the name was forced open, while the answer was on its way: that is fenced only.
        if page.promised.contains_key(&lock.token()) {
            let overlaps = page.believers.len();
            if overlaps > 0 {
                wrong.push("S2 two believe");
            }
            page.believers.push(Believer { node, watch: lock.watch() });
            self.overlaps += overlaps;
        }
        self.blame(&name, wrong, &format_args!("{:?}", lock.token()));
    }

    /// A caller was told how its unlock ended.
    pub(super) fn unlocked(&mut self, watch: &LockWatch, outcome: &Result<(), Error>) {
        let page = self.pages.entry(watch.name().clone()).or_default();
        let mut wrong = Vec::new();
        let grant = page.granted.get(&watch.token());
        if outcome.is_ok() && grant.is_none_or(|grant| !page.ended.contains(grant)) {
            wrong.push("S16 unlocked, but never released");
        }
        if watch.is_held() {
            wrong.push("S9 held after unlock");
        }
        self.blame(watch.name(), wrong, &format_args!("{:?} {outcome:?}", watch.token()));
    }

    /// Until when the holder of this token was promised its lease, as far as that is known.
    pub(super) fn promised(&self, watch: &LockWatch) -> Option<Instant> {
        self.pages.get(watch.name())?.promised.get(&watch.token()).copied()
    }

    /// A node is no more: neither are its beliefs.
    pub(super) fn died(&mut self, node: usize) {
        for page in self.pages.values_mut() {
            page.believers.retain(|believer| believer.node != node);
        }
    }

    pub(super) fn blame<'a>(
        &mut self,
        name: &LockName,
        wrong: impl IntoIterator<Item = &'a str>,
        about: &dyn std::fmt::Display,
    ) {
        for what in wrong {
            self.wrong.push(format!("{what}: {name}, {about}"));
        }
    }
}

impl Page {
    fn granted(
        &mut self,
        grant: GrantId,
        token: FencingToken,
        until: Instant,
        now: Instant,
    ) -> Option<&'static str> {
        if self.last_released == Some(grant) {
            return Some("S14 granted what was released");
        }
        match self.life.as_mut().filter(|life| life.until > now) {
            Some(life) if life.grant != grant => return Some("S1 two live grants"),
            Some(life) if life.token != token => return Some("S14 another token for the same grant"),
            Some(life) if until < life.until => return Some("S7 a repeated acquire shortened its lease"),
            Some(life) => life.until = until,
            None if self.taken_until.is_some_and(|taken| taken > now) => {
                return Some("S13 granted within another's lock_at_least");
            }
            None => {
                self.life = Some(Life { grant, token, since: now, until });
                self.granted.insert(token, grant);
                if let Some(wrong) = self.number(token) {
                    return Some(wrong);
                }
            }
        }
        self.taken_until = Some(until);
        self.promised.insert(token, until);
        None
    }

    fn number(&mut self, token: FencingToken) -> Option<&'static str> {
        let grows = self.newest.is_none_or(|newest| token > newest);
        self.newest = self.newest.max(Some(token));
        (!grows).then_some("S3 a token did not grow")
    }

    /// Somebody believes in a lease that is over on the server.
    fn uncovered(&self, now: Instant) -> Option<&'static str> {
        let covered = |watch: &LockWatch| self.promised.get(&watch.token()).is_some_and(|until| *until > now);
        let believes_on = |believer: &Believer| believer.watch.is_held() && !covered(&believer.watch);
        self.believers.iter().any(believes_on).then_some("S9 held after the lease was over")
    }
}
