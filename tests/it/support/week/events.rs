//! What happened in the week, session by session. Each session depends on the seed and its number alone, so that several threads make
//! the same week as one.

use super::shape::{self, CAUSE, REGIONS, TENANTS, Tenant, VIEWS, View};

/// Something that a tenant's people did: what is sent, and what came of it behind the page.
#[derive(Clone, PartialEq, Debug)]
pub struct Event {
    pub tenant: &'static str,
    /// Milliseconds since 1970.
    pub time_ms: i64,
    pub view: &'static str,
    pub action: &'static str,
    pub browser: &'static str,
    pub region: &'static str,
    pub duration_ms: u32,
    /// Each has its own: see [`Event::session`].
    pub session: u64,
    /// Its place in the session.
    pub seq: u32,
    /// See [`Event::trace`].
    pub trace: u128,
    pub element_count: u32,
    /// How long the backend took for it.
    pub backend_ms: u32,
    /// What the backend answered.
    pub status: u16,
    pub method: &'static str,
    pub endpoint: &'static str,
    /// Whether the backend tells of it as well; it does of every fifth.
    pub told_by_backend: bool,
}

impl Event {
    /// The session's id.
    pub fn session(&self) -> String {
        format!("s{:015x}", self.session)
    }

    /// The trace's id.
    pub fn trace(&self) -> String {
        format!("{:032x}", self.trace)
    }
}

/// What a page measured of itself.
#[derive(Clone, PartialEq, Debug)]
pub struct Vital {
    pub tenant: &'static str,
    pub time_ms: i64,
    /// `web_vitals_lcp`
    pub metric: &'static str,
    pub path: &'static str,
    pub rating: &'static str,
    pub value: f64,
}

/// One sitting of one person.
#[derive(Clone, PartialEq, Debug)]
pub struct Session {
    pub tenant: &'static Tenant,
    pub events: Vec<Event>,
    pub vitals: Vec<Vital>,
}

/// Metrics, what is good at most and what is poor beyond, and half of the values.
const VITALS: [(&str, f64, f64, f64); 3] = [
    ("web_vitals_lcp", 2500.0, 4000.0, 1700.0),
    ("web_vitals_inp", 200.0, 500.0, 110.0),
    ("web_vitals_cls", 0.1, 0.25, 0.05),
];

/// Events in a session, in the mean.
pub const EVENTS_OF_A_SESSION: u64 = 20;

/// Makes the sessions of a week.
#[derive(Clone, Copy, Debug)]
pub struct Generator {
    pub seed: u64,
    /// Milliseconds since 1970.
    pub end_ms: i64,
    /// How many there are.
    pub sessions: u64,
}

impl Generator {
    /// A week with about so many events.
    pub fn new(seed: u64, end_ms: i64, events: u64) -> Self {
        Self { seed, end_ms, sessions: events / EVENTS_OF_A_SESSION }
    }

    /// A week with about so many points: a fifth of the events are told by the backend too, and there are some web vitals.
    pub fn with_points(seed: u64, end_ms: i64, points: u64) -> Self {
        Self::new(seed, end_ms, points * 4 / 5)
    }

    /// About how many points it has.
    pub fn points(&self) -> u64 {
        self.sessions * EVENTS_OF_A_SESSION * 5 / 4
    }

    /// One of its sessions. Their numbers are in the order of their beginnings.
    pub fn session(&self, number: u64) -> Session {
        let mixed = |salt: u64| fastrand::Rng::with_seed(self.seed ^ (number << 8 | salt)).u64(..);
        let mut random = fastrand::Rng::with_seed(mixed(1));
        let tenant = &TENANTS[shape::of_session(number)];
        let share = (number as f64 + random.f64()) / self.sessions as f64;
        let mut time = self.end_ms as f64 - shape::begins_before_end(share);
        let (browser, region) = (shape::browser(&mut random), tenant.region(&mut random));
        let id = mixed(2) >> 4;

        let mut vitals = Vec::new();
        let mut view = tenant.view(&mut random);
        if random.u8(..3) == 0 {
            self.measure(tenant, &VIEWS[view], region, time as i64, &mut random, &mut vitals);
        }
        let mut events = Vec::new();
        let count = random.u64(EVENTS_OF_A_SESSION / 2..=EVENTS_OF_A_SESSION * 3 / 2);
        for seq in 0..count {
            // Who is on a page stays there for four events.
            if random.u8(..4) == 0 {
                view = tenant.view(&mut random);
            }
            let place = (&VIEWS[view], browser, region);
            let event = self.event(tenant, place, time as i64, (id, seq), &mut random);
            // Its next events are in the future.
            if event.time_ms > self.end_ms {
                break;
            }
            events.push(event);
            time += 1_000.0 + random.f64() * 38_000.0;
        }
        Session { tenant, events, vitals }
    }

    fn event(
        &self,
        tenant: &Tenant,
        (view, browser, region): (&'static View, usize, usize),
        time_ms: i64,
        (session, seq): (u64, u64),
        random: &mut fastrand::Rng,
    ) -> Event {
        let action = &view.actions[view.action(random)];
        let usual = shape::duration_ms(tenant, action, browser, region, random);
        let browser = shape::BROWSERS[browser].0;
        let wrong = (tenant.name, view.name, action.name, browser)
            == (CAUSE.tenant, CAUSE.view, CAUSE.action, CAUSE.browser)
            && time_ms >= self.end_ms - CAUSE.since_ms;
        let extra = if wrong { CAUSE.extra_ms } else { 0 };
        let failed = random.u8(..100) == 0;
        Event {
            tenant: tenant.name,
            time_ms,
            view: view.name,
            action: action.name,
            browser,
            region: REGIONS[region].0,
            duration_ms: usual.round() as u32 + extra,
            session,
            seq: seq as u32,
            trace: random.u128(1..),
            element_count: random.u32(10..200),
            // What is wrong is the page's: the backend does not see it.
            backend_ms: (usual * (0.3 + 0.3 * random.f64())).round() as u32,
            status: if failed { 503 } else { 200 },
            method: action.method,
            endpoint: action.endpoint,
            told_by_backend: random.u8(..5) == 0,
        }
    }

    fn measure(
        &self,
        tenant: &Tenant,
        view: &View,
        region: usize,
        time_ms: i64,
        random: &mut fastrand::Rng,
        vitals: &mut Vec<Vital>,
    ) {
        for (metric, good, fair, median) in VITALS {
            let value = median * REGIONS[region].1 * (0.5 * shape::normal(random)).exp();
            let rating = if value <= good {
                "good"
            } else if value <= fair {
                "needs-improvement"
            } else {
                "poor"
            };
            // As clients send them: LCP in tenths of a millisecond, CLS to four digits.
            let value = (value * 10_000.0).round() / 10_000.0;
            vitals.push(Vital { tenant: tenant.name, time_ms, metric, path: view.path, rating, value });
        }
    }
}
