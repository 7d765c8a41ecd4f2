//! What the week is like: who its tenants are, what their people do, how long that takes, and what is wrong with it.

/// One customer, with its own people and habits.
#[derive(PartialEq, Debug)]
pub struct Tenant {
    /// Its id.
    pub name: &'static str,
    /// Where its pages are.
    pub host: &'static str,
    /// Everything takes so many times longer than at the others: a small difference that explains nothing.
    pace: f64,
    /// How often each of [`VIEWS`] is seen.
    views: [f64; 4],
    /// How often each of [`REGIONS`] is where somebody sits.
    regions: [f64; 3],
}

/// A page, and what can be done on it.
#[derive(PartialEq, Debug)]
pub struct View {
    /// Its name.
    pub name: &'static str,
    /// Its path.
    pub path: &'static str,
    /// What can be done.
    pub actions: &'static [Action],
}

/// Something that somebody does.
#[derive(PartialEq, Debug)]
pub struct Action {
    /// Its name.
    pub name: &'static str,
    /// What the page then asks of its backend.
    pub method: &'static str,
    /// Where.
    pub endpoint: &'static str,
    /// How often, of all that is done on this view.
    share: f64,
    /// Half of the times it takes longer, in ms; at the quickest browser in the nearest region.
    median_ms: f64,
}

const fn action(
    name: &'static str,
    method: &'static str,
    endpoint: &'static str,
    share: f64,
    median_ms: f64,
) -> Action {
    Action { name, method, endpoint, share, median_ms }
}

/// Two of five sessions are acme's, two globex's, one is initech's: see [`of_session`].
pub static TENANTS: [Tenant; 3] = [
    Tenant {
        name: "acme",
        host: "acme.example",
        pace: 1.06,
        views: [0.40, 0.25, 0.27, 0.08],
        regions: [0.50, 0.30, 0.20],
    },
    // A decoy: it is globex that uses the slowest view most.
    Tenant {
        name: "globex",
        host: "globex.example",
        pace: 1.0,
        views: [0.30, 0.20, 0.22, 0.28],
        regions: [0.35, 0.30, 0.35],
    },
    Tenant {
        name: "initech",
        host: "initech.example",
        pace: 0.95,
        views: [0.35, 0.20, 0.35, 0.10],
        regions: [0.30, 0.60, 0.10],
    },
];

/// The pages.
pub static VIEWS: [View; 4] = [
    View {
        name: "UserListView",
        path: "/users",
        actions: &[
            action("fetchUsers", "GET", "/api/users", 0.5, 60.0),
            action("search", "GET", "/api/users/search", 0.4, 75.0),
            action("export", "POST", "/api/users/export", 0.1, 95.0),
        ],
    },
    View {
        name: "CheckoutView",
        path: "/checkout",
        actions: &[
            action("pay", "POST", "/api/checkout/pay", 0.45, 85.0),
            action("addItem", "POST", "/api/checkout/items", 0.35, 35.0),
            action("applyCoupon", "POST", "/api/checkout/coupon", 0.2, 45.0),
        ],
    },
    View {
        name: "DashboardView",
        path: "/dashboard",
        actions: &[
            action("load", "GET", "/api/dashboard", 0.4, 70.0),
            action("filter", "GET", "/api/dashboard/filter", 0.35, 30.0),
            action("refresh", "GET", "/api/dashboard/refresh", 0.25, 50.0),
        ],
    },
    View {
        name: "ReportView",
        path: "/reports",
        actions: &[
            action("render", "GET", "/api/reports", 0.6, 105.0),
            action("download", "GET", "/api/reports/file", 0.4, 80.0),
        ],
    },
];

/// Browsers, how many people use each, and how many times longer everything takes in it.
pub const BROWSERS: [(&str, f64, f64); 5] = [
    ("Chrome 130", 0.22, 1.0),
    ("Chrome 131", 0.32, 1.0),
    ("Firefox 133", 0.18, 1.08),
    ("Safari 18", 0.18, 1.04),
    ("Edge 131", 0.10, 1.02),
];

/// Regions, and how many times longer everything takes from there. A decoy: `eus` is slow for every tenant.
pub const REGIONS: [(&str, f64); 3] = [("weu", 1.0), ("neu", 1.03), ("eus", 1.35)];

/// The standard deviation of the logarithm of a duration.
const SPREAD: f64 = 0.35;

/// What is wrong: paying, at acme, with this browser, since a day before the end.
#[derive(PartialEq, Debug)]
pub struct Cause {
    pub tenant: &'static str,
    pub view: &'static str,
    pub action: &'static str,
    pub browser: &'static str,
    /// For so long before the end, in ms.
    pub since_ms: i64,
    /// So much longer.
    pub extra_ms: u32,
}

/// The one cause that hides in the week.
pub const CAUSE: Cause = Cause {
    tenant: "acme",
    view: "CheckoutView",
    action: "pay",
    browser: "Chrome 131",
    since_ms: 24 * HOUR_MS,
    extra_ms: 500,
};

pub const HOUR_MS: i64 = 3_600_000;

/// Seven days, and some hours more, so that the last hours have one of a week before to be compared with.
pub const SPAN_MS: i64 = (7 * 24 + 3) * HOUR_MS;

/// The tenant of a session.
pub fn of_session(number: u64) -> usize {
    [0, 1, 0, 1, 2][(number % 5) as usize]
}

/// Somebody's choices.
impl Tenant {
    pub fn view(&self, random: &mut fastrand::Rng) -> usize {
        choose(random, self.views.iter().copied())
    }

    pub fn region(&self, random: &mut fastrand::Rng) -> usize {
        choose(random, self.regions.iter().copied())
    }
}

pub fn browser(random: &mut fastrand::Rng) -> usize {
    choose(random, BROWSERS.iter().map(|(_, share, _)| *share))
}

impl View {
    pub fn action(&self, random: &mut fastrand::Rng) -> usize {
        choose(random, self.actions.iter().map(|action| action.share))
    }
}

/// How long it takes when nothing is wrong, in ms.
pub fn duration_ms(tenant: &Tenant, action: &Action, browser: usize, region: usize, random: &mut fastrand::Rng) -> f64 {
    let median = action.median_ms * tenant.pace * BROWSERS[browser].2 * REGIONS[region].1;
    median * (SPREAD * normal(random)).exp()
}

/// When a session begins, in ms before the end: people come and go by a daily rhythm, told from the end, so that the last hour is as
/// busy at whatever time the week is made. `share` is how many of all sessions have begun by then.
pub fn begins_before_end(share: f64) -> f64 {
    const DAY_H: f64 = 24.0;
    /// Most people are there so long before the end, and fewest 12 hours from it: half as many as in the mean, where it is half as
    /// many again.
    const BUSIEST_H: f64 = 3.0;
    let turn = std::f64::consts::TAU / DAY_H;
    // How much of all there is has happened in the last `hours`; the rate is its derivative, 1 + cos/2.
    let since = |hours: f64| hours + 0.5 / turn * ((turn * (hours - BUSIEST_H)).sin() - (turn * -BUSIEST_H).sin());
    let span = SPAN_MS as f64 / HOUR_MS as f64;
    let wanted = since(span) * (1.0 - share);
    let (mut low, mut high) = (0.0, span);
    for _ in 0..50 {
        let middle = f64::midpoint(low, high);
        if since(middle) < wanted { low = middle } else { high = middle }
    }
    low * HOUR_MS as f64
}

/// One of these, by their shares, which are 1 together.
fn choose(random: &mut fastrand::Rng, shares: impl Iterator<Item = f64>) -> usize {
    let mut left = random.f64();
    let mut last = 0;
    for (at, share) in shares.enumerate() {
        last = at;
        if left < share {
            break;
        }
        left -= share;
    }
    last
}

/// Normally distributed, of mean 0 and deviation 1 (Box and Muller).
pub fn normal(random: &mut fastrand::Rng) -> f64 {
    let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.f64()).cos()
}
