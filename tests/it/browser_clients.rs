//! A real browser, from pages of other origins: each way to send arrives exactly once, also while its tab closes, and what goes wrong
//! can be read by the page.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Bucket, GLOBEX_KEY, Gateway, Page, SigningKey, browser, claims, config_for, eventually, influx};

/// How long a page may take on a busy machine.
const SOON: Duration = Duration::from_secs(30);

/// The write key of the tenant that the tests' pages belong to.
const KEY: &str = "initech-key-0123456789abcdef";

/// What the scripts share. The gateway's URL, a key and a token come behind the page's `#`.
const SHARED: &str = "
    const [gateway, key, token] = location.hash.slice(1).split(',');
    const url = gateway + '/v1/telemetry/' + key;
    const body = action => JSON.stringify({viewName: 'page', actionName: action, sessionId: 's-1', metrics: {duration_ms: 1}});
    const ask = async (to, init) => {
        try {
            const answer = await fetch(to, {method: 'POST', ...init});
            const text = await answer.text();
            return {status: answer.status, retryAfter: answer.headers.get('Retry-After'), date: answer.headers.get('Date'),
                    body: text ? JSON.parse(text) : null};
        } catch (error) {
            return {error: String(error)};
        }
    };";

fn page(script: &str) -> Page {
    Page::serve(&format!("{SHARED}\n{script}"))
}

/// A gateway whose tenant `initech` has this page's origin, and no other, in its list.
async fn gateway_for(page: &Page, bucket: &Bucket, more: &str, environment: &[(&str, &str)]) -> Gateway {
    let origin = page.origin();
    let tenant = format!("[tenants.initech.keys.web]\nkey = \"{KEY}\"\norigins = [\"{origin}\"]\n");
    Gateway::start_with(&format!("{}\n{tenant}{more}", config_for(bucket)), environment).await
}

fn address(page: &Page, gateway: &Gateway, key: &str, token: &str) -> String {
    format!("{}#{},{key},{token}", page.url(), gateway.url())
}

/// How many points each action has, all of them of initech and from this page.
async fn actions(bucket: &Bucket, page: &Page) -> BTreeMap<String, u32> {
    let host = page.origin().trim_start_matches("http://").to_owned();
    let mut actions = BTreeMap::new();
    for row in bucket.rows("frontend_performance").await {
        assert_eq!((row.text("tenant_id"), row.get("host")), ("initech", Some(host.as_str())), "{row:?}");
        *actions.entry(row.text("action_name").to_owned()).or_default() += 1;
    }
    actions
}

fn once(names: &[&str]) -> BTreeMap<String, u32> {
    names.iter().map(|name| ((*name).to_owned(), 1)).collect()
}

#[tokio::test]
async fn every_way_of_a_page_to_send_arrives_exactly_once_under_its_tenant() {
    let page = page(
        "const json = {'Content-Type': 'application/json'};
         const gzip = async text => new Response(new Blob([text]).stream().pipeThrough(new CompressionStream('gzip'))).arrayBuffer();
         const none = text => new TextEncoder().encode(text);
         const ways = {
            'fetch text/plain': name => ask(url, {body: body(name)}),
            'fetch JSON': name => ask(url, {headers: json, body: body(name)}),
            'fetch JSON, key in a header': name => ask(gateway + '/v1/telemetry', {headers: {...json, 'X-Api-Key': key}, body: body(name)}),
            'fetch JSON, token': name =>
                ask(gateway + '/v1/telemetry', {headers: {...json, Authorization: 'Bearer ' + token}, body: body(name)}),
            'fetch, token in the query': name => ask(gateway + '/v1/telemetry?access_token=' + token, {body: body(name)}),
            'fetch with cookies': name => ask(url, {credentials: 'include', headers: json, body: body(name)}),
            'fetch keepalive': name => ask(url, {keepalive: true, body: body(name)}),
            'fetch keepalive JSON': name => ask(url, {keepalive: true, headers: json, body: body(name)}),
            'fetch gzip': async name => ask(url, {headers: {'Content-Encoding': 'gzip'}, body: await gzip(body(name))}),
            'fetch gzip by its magic': async name => ask(url, {headers: {'Content-Type': 'text/plain'}, body: await gzip(body(name))}),
            'beacon string': name => navigator.sendBeacon(url, body(name)),
            'beacon JSON blob': name => navigator.sendBeacon(url, new Blob([body(name)], {type: 'application/json'})),
            'beacon untyped blob': name => navigator.sendBeacon(url, new Blob([body(name)])),
            'beacon bytes': name => navigator.sendBeacon(url, none(body(name))),
            'beacon gzip': async name => navigator.sendBeacon(url, await gzip(body(name))),
            'beacon, key in the query': name => navigator.sendBeacon(gateway + '/v1/telemetry?k=' + key, body(name)),
         };
         const results = {};
         for (const [name, send] of Object.entries(ways)) results[name] = await send(name);
         report(results);",
    );
    let bucket = influx().bucket("ways");
    let idp = SigningKey::es256();
    let gateway = gateway_for(&page, &bucket, &idp.issuer_toml("idp"), &[]).await;
    let tab = browser().open(&address(&page, &gateway, KEY, &idp.sign(&claims("initech"))));
    let results = page.result(SOON).await;
    let results = results.as_object().expect("one result for each way");
    assert_eq!(results.len(), 16, "{results:?}");
    for (name, result) in results {
        if name.starts_with("beacon") {
            assert_eq!(result, &Value::Bool(true), "{name}");
        } else {
            assert_eq!((&result["status"], &result["body"]["accepted"]), (&json!(202), &json!(1)), "{name}: {result}");
            assert!(result["body"]["serverTime"].as_i64() > Some(1_700_000_000_000), "{name}: {result}");
            assert!(result["date"].is_string(), "{name}: the page can read the server's time: {result}");
        }
    }
    let row = gateway.delivered("initech", 16).await;
    assert_eq!((&row["accepted"], &row["outcomes"]), (&json!(16), &json!({"delivered": 16})), "{row}");
    let names: Vec<_> = results.keys().map(String::as_str).collect();
    assert_eq!(actions(&bucket, &page).await, once(&names));
    tab.close();
}

#[tokio::test]
async fn what_a_page_sends_while_its_tab_closes_arrives_exactly_once() {
    let page = page(
        "addEventListener('pagehide', () => {
            navigator.sendBeacon(url, body('beacon string'));
            navigator.sendBeacon(url, new Blob([body('beacon untyped blob')]));
            fetch(url, {method: 'POST', keepalive: true, body: body('fetch keepalive')});
         });
         document.addEventListener('visibilitychange', () => {
            if (document.visibilityState === 'hidden') navigator.sendBeacon(url, body('beacon when hidden'));
         });
         report((await ask(url, {body: body('while open')})).status);",
    );
    let bucket = influx().bucket("closing");
    let gateway = gateway_for(&page, &bucket, "", &[]).await;
    let tab = browser().open(&address(&page, &gateway, KEY, ""));
    assert_eq!(page.result(SOON).await, 202);
    tab.close();
    // The tab may have been hidden from the start, and then it does not become so.
    let sure = ["beacon string", "beacon untyped blob", "fetch keepalive", "while open"];
    let mut seen = eventually(SOON, || async {
        let seen = actions(&bucket, &page).await;
        let accepted = &gateway.admin_json("/admin/ledger")["tenants"]["initech"]["accepted"];
        let all = sure.iter().all(|name| seen.contains_key(*name)) && *accepted == seen.values().sum::<u32>();
        if all { Ok(seen) } else { Err(format!("{accepted} accepted: {seen:?}")) }
    })
    .await;
    assert!(seen.remove("beacon when hidden").is_none_or(|times| times == 1));
    assert_eq!(seen, once(&sure));
}

#[tokio::test]
async fn what_a_page_sends_while_it_navigates_away_arrives_exactly_once() {
    let page = page(
        "addEventListener('pagehide', () => {
            navigator.sendBeacon(url, body('beacon'));
            fetch(url, {method: 'POST', keepalive: true, body: body('fetch keepalive')});
         });
         if (key) setTimeout(() => location.replace('about:blank'), 50);",
    );
    let bucket = influx().bucket("navigating");
    let gateway = gateway_for(&page, &bucket, "", &[]).await;
    let tab = browser().open(&address(&page, &gateway, KEY, ""));
    gateway.delivered("initech", 2).await;
    assert_eq!(actions(&bucket, &page).await, once(&["beacon", "fetch keepalive"]));
    tab.close();
}

#[tokio::test]
async fn a_page_can_read_what_went_wrong() {
    let page = page(
        "const json = {headers: {'Content-Type': 'application/json'}};
         const event = JSON.parse(body('a'));
         const many = count => JSON.stringify(Array(count).fill(event));
         const unspent = gateway + '/v1/telemetry?access_token=' + token;
         report({
            taken: await ask(url, {body: many(99)}),
            overdrawn: await ask(url, {body: many(100)}),
            budget: await ask(url, {body: many(1)}),
            budgetPreflighted: await ask(url, {...json, body: many(1)}),
            partly: await ask(unspent, {body: JSON.stringify([event, {...event, viewName: 5}])}),
            notJson: await ask(unspent, {body: '{'}),
            noValidEvent: await ask(unspent, {...json, body: JSON.stringify([{...event, metrics: {duration_ms: -1}}])}),
            tooMany: await ask(unspent, {body: many(101)}),
            tooLarge: await ask(unspent, {body: ' '.repeat(70000) + body('a')}),
            noCredential: await ask(gateway + '/v1/telemetry', {...json, body: body('a')}),
            unknownKey: await ask(gateway + '/v1/telemetry/no-such-key-0123456789', {body: body('a')}),
            noRoute: await ask(gateway + '/v2/telemetry', {body: body('a')}),
            put: await ask(url, {method: 'PUT', body: body('a')}),
         });",
    );
    let bucket = influx().bucket("readable");
    let limits = "[tenants.initech.limits]\npoints_per_second = 1\nburst = 100\n";
    let idp = SigningKey::es256();
    let environment = [("TAGLINE__SERVER__MAX_EVENTS", "100"), ("TAGLINE__SERVER__MAX_BODY", "64KiB")];
    let gateway = gateway_for(&page, &bucket, &format!("{limits}{}", idp.issuer_toml("idp")), &environment).await;
    // The last batch that the budget lets in leaves a debt of 99 points, at one a second: however slow the machine is, what follows
    // meets it. The token is acme's, whose budget is not used up.
    let tab = browser().open(&address(&page, &gateway, KEY, &idp.sign(&claims("acme"))));
    let seen = page.result(SOON).await;
    for what in ["taken", "overdrawn", "partly"] {
        assert_eq!(seen[what]["status"], 202, "{what}: {seen}");
    }
    assert_eq!(seen["partly"]["body"]["rejected"][0]["index"], 1, "{seen}");
    assert_eq!(seen["partly"]["body"]["rejected"][0]["reason"], "malformed", "{seen}");
    for (what, status, code) in [
        ("budget", 429, "over_budget"),
        ("budgetPreflighted", 429, "over_budget"),
        ("notJson", 400, "body_not_json"),
        ("noValidEvent", 400, "no_valid_event"),
        ("noCredential", 401, "credential_missing"),
        ("unknownKey", 401, "write_key_unknown"),
        ("tooMany", 413, "too_many_events"),
        ("tooLarge", 413, "body_too_large"),
        ("noRoute", 404, "not_found"),
        // The preflight lets another method through, so that the page reads our answer and not a bare "network error".
        ("put", 405, "method_not_allowed"),
    ] {
        assert_eq!(
            (&seen[what]["status"], &seen[what]["body"]["code"]),
            (&json!(status), &json!(code)),
            "{what}: {seen}"
        );
    }
    assert_eq!(seen["noValidEvent"]["body"]["rejected"][0]["reason"], "out_of_range", "{seen}");
    for what in ["budget", "budgetPreflighted"] {
        let wait: Option<u64> = seen[what]["retryAfter"].as_str().and_then(|seconds| seconds.parse().ok());
        assert!(wait.is_some_and(|seconds| (1..=100).contains(&seconds)), "{what}: {seen}");
    }
    tab.close();
}

#[tokio::test]
async fn a_page_of_a_foreign_origin_cannot_use_globexs_key() {
    let page = page(
        "const json = {'Content-Type': 'application/json'};
         report({
            plain: await ask(url, {body: body('a')}),
            preflighted: await ask(url, {headers: json, body: body('a')}),
            header: await ask(gateway + '/v1/telemetry', {headers: {'X-Api-Key': key}, body: body('a')}),
            forged: await ask(url, {headers: {Origin: 'https://globex.example'}, body: body('a')}),
            tenant: await ask(url, {headers: {'X-Tenant-ID': 'globex'}, body: body('a')}),
            noReferrer: await ask(url, {referrerPolicy: 'no-referrer', body: body('a')}),
            beacon: navigator.sendBeacon(url, body('a')),
         });
         const frame = document.createElement('iframe');
         frame.sandbox = 'allow-scripts';
         frame.srcdoc = `<script>fetch('${url}', {method: 'POST', body: '{}'})
            .then(answer => answer.json()).then(problem => parent.postMessage(problem, '*'))</` + `script>`;
         addEventListener('message', event => report(event.data));
         document.body.append(frame);",
    );
    let bucket = influx().bucket("foreign");
    let gateway = gateway_for(&page, &bucket, "", &[]).await;
    let tab = browser().open(&address(&page, &gateway, GLOBEX_KEY, ""));
    let seen = page.result(SOON).await;
    for what in ["plain", "preflighted", "header", "forged", "tenant", "noReferrer"] {
        let answer = (&seen[what]["status"], &seen[what]["body"]["code"]);
        assert_eq!(answer, (&json!(403), &json!("origin_not_allowed")), "{what}: {seen}");
    }
    // A sandboxed frame has the origin `null`.
    assert_eq!(page.result(SOON).await["code"], "origin_not_allowed");
    // The beacon has no answer to look at: each of the requests was counted with its refusal, and nothing was taken.
    eventually(SOON, || async {
        let refused = gateway.metric("tagline_http_requests_total{status=\"403\"}");
        if refused == Some(8.0) { Ok(()) } else { Err(format!("{refused:?} of 8 refused")) }
    })
    .await;
    assert_eq!(gateway.metric("tagline_http_requests_total{status=\"202\"}"), Some(0.0));
    assert_eq!(gateway.admin_json("/admin/ledger")["tenants"]["globex"]["accepted"], 0);
    assert_eq!(bucket.measurements().await, [""; 0]);
    tab.close();
}
