//! What is found, what is left alone, and what that costs.

use std::collections::BTreeMap;

use super::*;
use crate::enrich::fixture::settings;

fn scrubber(patterns: &[(&str, &str)]) -> Scrubber {
    let mut enrich = settings().enrich;
    enrich.scrub_patterns = patterns.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    Scrubber::new(&enrich)
}

fn scrubbed(scrubber: &Scrubber, text: &str) -> String {
    scrubber.text(text, 512, &Bump::new(), &Cell::default()).to_owned()
}

#[test]
fn the_default_settings_scrub_all_that_is_known() {
    let known = scrubber(&[]);
    assert!(known.email && known.bearer && known.card);
}

#[test]
fn an_address_is_found_however_it_is_written() {
    let known = scrubber(&[]);
    for (text, wanted) in [
        ("joe@example.com", "[email]"),
        ("mail to joe.doe+tag@mail.example.co.uk, please", "mail to [email], please"),
        ("/users/joe@example.com/orders", "/users/[email]/orders"),
        ("/users/joe%40example.com/orders", "/users/[email]/orders"),
        ("/users/joe%2540example.com", "/users/[email]"),
        ("a@b.co,c@d.org;e@f.net", "[email],[email];[email]"),
        ("<JOE@EXAMPLE.COM>", "<[email]>"),
        ("\"joe doe\"@example.com", "[email]"),
        ("jürgen@bücher.example", "[email]"),
        ("иван@пример.рф", "[email]"),
        ("joe@xn--e1afmkfd.xn--p1ai", "[email]"),
        ("joe@example.com.", "[email]."),
        ("mailto:joe@example.com", "mailto:[email]"),
        ("user=joe@example.com-1", "user=[email]"),
        ("joe@163.com", "[email]"),
        ("core@1.2.joe@example.com", "core@[email]"),
    ] {
        assert_eq!(scrubbed(&known, text), wanted, "{text}");
    }
    for clean in [
        "react@18.2.0",
        "@scope/package@1.2.3",
        "logo@2x.png",
        "@media",
        "joe@localhost",
        "a @ b.com",
        "100%",
        "%40",
        "a%40b",
        "@",
        "shop@2024.11.ab12cd3",
        "node_modules/.pnpm/@angular+core@16.2.12_rxjs@7.8.1_zone.js@0.13.3",
        "app@v1.2.0-next.rc",
    ] {
        assert_eq!(scrubbed(&known, clean), clean);
    }
}

#[test]
fn a_token_is_found_whole_or_cut() {
    let known = scrubber(&[]);
    let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl_-";
    for (text, wanted) in [
        (jwt.to_owned(), "[bearer]"),
        (format!("token {jwt}!"), "token [bearer]!"),
        (format!("/verify/{jwt}/x"), "/verify/[bearer]/x"),
        (jwt[..40].to_owned(), "[bearer]"),
        (jwt[..20].to_owned(), "[bearer]"),
        (format!("{jwt}.aaa.bbb"), "[bearer]"),
        (format!("session%3A{jwt}"), "session%3A[bearer]"),
        (format!("surveyJsonUploader{jwt}"), "surveyJsonUploader[bearer]"),
        (format!("Bearer {jwt}"), "[bearer]"),
        ("Authorization: Bearer abc.def-123".to_owned(), "Authorization: [bearer]"),
        ("bearer:s3cr3t~token/+==".to_owned(), "[bearer]"),
        ("BEARER%20abcdef".to_owned(), "[bearer]"),
        ("Bearer xyz".to_owned(), "[bearer]"),
    ] {
        assert_eq!(scrubbed(&known, &text), wanted, "{text}");
    }
    for clean in [
        "JobList",
        "eyJ",
        "heyJude.mp3",
        "the bearer of it",
        "BearerView",
        "forbearer abc",
        "Bearer",
        "surveyJsonUploader",
        "apiKeyJoinedTables",
        "journeyJumpToSection",
    ] {
        assert_eq!(scrubbed(&known, clean), clean);
    }
}

#[test]
fn a_card_number_is_found_by_its_check_digit() {
    let known = scrubber(&[]);
    for (text, wanted) in [
        ("4111111111111111", "[card]"),
        ("pay 4111 1111 1111 1111 now", "pay [card] now"),
        ("4111-1111-1111-1111", "[card]"),
        ("4111+1111+1111+1111", "[card]"),
        ("4111%201111%201111%201111", "[card]"),
        ("x=%204111111111111111", "x=%20[card]"),
        ("378282246310005", "[card]"),
        ("3782 822463 10005", "[card]"),
        ("30569309025904", "[card]"),
        ("4222222222222", "[card]"),
        ("5555555555554444,6011111111111117", "[card],[card]"),
        ("2223003122003222", "[card]"),
        ("pay_4111111111111111", "pay_[card]"),
        ("6304 0000 0000 0000 000", "[card]"),
        ("1 4111111111111111", "1 [card]"),
        ("4111\u{a0}1111\u{202f}1111\u{2013}1111", "[card]"),
        ("“4111111111111111”, №4111111111111111\u{a0}€", "“[card]”, №[card]\u{a0}€"),
    ] {
        assert_eq!(scrubbed(&known, text), wanted, "{text}");
    }
    for clean in [
        // One digit off.
        "4111111111111112",
        "4111 1111 1111 1121",
        // Too short, too long, touched by a letter.
        "411111111111",
        "41111111111111111111",
        "a4111111111111111",
        "4111111111111111b",
        "é4111111111111111",
        "4111111111111111é",
        // Clocks: the first of them has a right check digit.
        "1790000000005",
        "1790000000123",
        "2026-11-21 20-36-00",
        // A fraction, a UUID's digits, numbers in a row, and a number longer or shorter than any card of its range.
        "0.4532015112830366",
        "took 12.4532015112830366 ms",
        "45320151-1283-4046-a1b2-c3d4e5f60718",
        "a5320151-abcd-4abc-8162-123456789012",
        "30 60 90 120 150 14",
        "3050607080902",
        "550e8400-e29b-41d4-a716-446655440000",
        "12345678901234567890123456789012",
    ] {
        assert_eq!(scrubbed(&known, clean), clean);
    }
    assert!(has_check_digit_of("1790000000005"), "the clock above must be one that Luhn's formula takes");
}

fn has_check_digit_of(text: &str) -> bool {
    find::has_check_digit(text.as_bytes())
}

#[test]
fn an_operators_patterns_are_replaced_by_their_names() {
    let own = scrubber(&[("customer", r"CUST-\d+"), ("edge", r"\bq|\b"), ("umlaut", "ü+")]);
    for (text, wanted) in [
        ("order of CUST-17 and CUST-18", "order of [customer] and [customer]"),
        ("über", "[umlaut]ber"),
        ("a qu é", "a [edge]u é"),
        ("joe@example.com CUST-1", "[email] [customer]"),
        ("nothing here", "nothing here"),
    ] {
        assert_eq!(scrubbed(&own, text), wanted, "{text}");
    }
}

#[test]
fn a_rule_that_is_off_finds_nothing() {
    let mut enrich = settings().enrich;
    enrich.scrub.clear();
    let off = Scrubber::new(&enrich);
    let text = "joe@example.com Bearer abcdef 4111111111111111";
    assert_eq!(scrubbed(&off, text), text);
    let (arena, counts) = (Bump::new(), Cell::default());
    assert_eq!(off.session("joe@example.com", "acme", &arena, &counts), "joe@example.com");
    enrich.scrub.insert(Scrub::Card);
    assert_eq!(scrubbed(&Scrubber::new(&enrich), text), "joe@example.com Bearer abcdef [card]");
}

#[test]
fn what_the_names_in_brackets_made_longer_is_cut_at_the_bound() {
    let own = scrubber(&[("a-name-that-is-long", "[aé]")]);
    let (arena, counts) = (Bump::new(), Cell::default());
    let kept = own.text("aaaaaaaaaé", 30, &arena, &counts);
    assert_eq!(kept, "[a-name-that-is-long][a-name-t");
    assert_eq!(own.text("ébc", 30, &arena, &counts), "[a-name-that-is-long]bc");
}

#[test]
fn each_rule_counts_the_strings_in_which_it_found_something() {
    let own = scrubber(&[("x", "xx"), ("y", "yy")]);
    let (arena, counts) = (Bump::new(), Cell::default());
    for text in ["a@b.co c@d.co 4111111111111111", "clean", "a@b.co xx yy", "Bearer abcdef"] {
        own.text(text, 512, &arena, &counts);
    }
    own.session("a@b.co", "acme", &arena, &counts);
    assert_eq!(counts.get(), Scrubbed { email: 3, bearer: 1, card: 1, pattern: 2 });
}

#[test]
fn a_session_in_which_something_is_found_is_another_one_for_every_id_and_tenant() {
    let own = scrubber(&[("customer", "CUST-[0-9]+")]);
    let arena = Bump::new();
    let counts = Cell::default();
    let session = |id: &'static str, tenant: &str| own.session(id, tenant, &arena, &counts).to_owned();
    let all: BTreeMap<String, &str> = [
        ("joe@example.com", "acme"),
        ("joe@example.com-2", "acme"),
        ("jane@example.com", "acme"),
        ("joe@example.com", "globex"),
        ("4111111111111111", "acme"),
        ("CUST-1", "acme"),
        ("CUST-2", "acme"),
        ("/cart?token=1", "acme"),
        ("/cart?token=2", "acme"),
    ]
    .map(|(id, tenant)| (session(id, tenant), id))
    .into();
    assert_eq!(all.len(), 9, "{all:?}");
    for (name, id) in &all {
        let (mark, hash) = name.split_once("]-").unwrap();
        assert!(["[email", "[card", "[customer", "[query"].contains(&mark), "{name}");
        assert!(hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit()), "{name}");
        assert!(!name.contains(id) && name.len() <= MAX_SESSION);
    }
    // The same on every replica and for every release: it is a part of the point's identity.
    assert_eq!(session("joe@example.com", "acme"), "[email]-394a01f65ca7ce58");
    for clean in ["s-1", "01890a5d-ac96-774b-bcce-b302099a8057", "1234567890.1690000000"] {
        assert_eq!(session(clean, "acme"), clean);
    }
    let long = "a@b.co".repeat(30);
    assert_eq!(own.session(&long, "acme", &arena, &counts), long, "it is refused for its length");
}

#[test]
fn queries_fragments_and_credentials_are_cut_wherever_a_word_looks_like_a_url() {
    for (text, kept) in [
        ("https://a.example/b?c=d#e", "https://a.example/b"),
        ("https://a.example?c=d", "https://a.example"),
        ("https://user:pass@a.example/b", "https://a.example/b"),
        ("GET /users?id=5", "GET /users"),
        ("GET /users?id=5 and /orders#7 failed", "GET /users and /orders failed"),
        ("see (https://u:p@a.example:8080/x?y)", "see (https://a.example:8080/x"),
        ("/login?next=https://u:p@a.example/b", "/login"),
        ("login?next=https://u:p@a.example/b", "login"),
        ("https://a.example/https://u:p@b.example/c", "https://a.example/https://b.example/c"),
        ("?a=b://@", ""),
        ("users?email=joe", "users"),
        ("#access_token=abc", ""),
        ("?a[b]=c", ""),
        ("#/route/5?tab=1", "#/route/5"),
        ("redis://:secret@cache:6379/0", "redis://cache:6379/0"),
        ("a\u{a0}/b?c", "a\u{a0}/b"),
        ("é/ü?ß é", "é/ü é"),
        ("/cart;jsessionid=ABC.node1?x=1", "/cart"),
        ("GET /cart;JSESSIONID=ABC failed", "GET /cart failed"),
    ] {
        assert_eq!(without_queries(text, &Bump::new()), kept, "{text}");
    }
    for whole in [
        "Save #2",
        "Button#save",
        "Sure?",
        "C#",
        "a@b",
        "what? why?",
        "text/html;charset=utf-8",
        "/heroes;id=15",
        "a;é;jsession",
        "x ?= y",
        "UserListView",
        "TCP/IP #1",
        "",
        "?",
        "a ? b : c",
    ] {
        assert_eq!(without_queries(whole, &Bump::new()), whole);
    }
}

#[test]
fn a_clean_string_costs_no_allocation() {
    let own = scrubber(&[("customer", "CUST-[0-9]+")]);
    let (arena, counts) = (Bump::with_capacity(64), Cell::default());
    let clean =
        ["UserListView", "fetch Users", "/orders/:id/lines", "JobList 1790000000005", "100% of @media", "Button#save"];
    let all = || {
        for text in clean {
            let kept = own.text(without_queries(text, &arena), 256, &arena, &counts);
            assert_eq!(kept.as_ptr(), text.as_ptr(), "{text} is the caller's own");
            assert_eq!(own.session(text, "acme", &arena, &counts), text);
        }
    };
    // A pattern makes its scratch memory when a thread first uses it.
    all();
    assert_eq!(allocation_counter::measure(all).count_total, 0);
}

/// Run longer by `make fuzz`.
mod property {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;

    /// Texts of the pieces that the rules look for.
    fn text() -> impl Strategy<Value = String> {
        let pieces = [
            "joe",
            "@",
            "%40",
            "%25",
            "example.com",
            ".",
            " ",
            "Bearer",
            "eyJhbGciOiJI",
            "4111",
            "1111",
            "-",
            "%20",
            "é",
            "?",
            "#",
            "://",
            "/",
            "a=b",
            "\"",
            "\n",
        ];
        proptest::collection::vec(proptest::sample::select(pieces.to_vec()), 0..14).prop_map(|pieces| pieces.concat())
    }

    static KNOWN: LazyLock<Scrubber> = LazyLock::new(|| scrubber(&[]));
    static ANY: LazyLock<Scrubber> = LazyLock::new(|| scrubber(&[("any", ".")]));

    proptest! {
        #![proptest_config(crate::property::config(300))]

        #[test]
        fn nothing_that_is_looked_for_is_left(text in text()) {
            let known = &*KNOWN;
            let arena = Bump::new();
            let cut = without_queries(&text, &arena);
            prop_assert_eq!(without_queries(cut, &arena), cut);
            let kept = known.text(cut, 4_096, &arena, &Cell::default());
            for find in [find::email, find::token, find::card] {
                prop_assert_eq!(find(kept, 0), None, "{:?} of {:?}", kept, text);
            }
            // Twice is as good as once: what a rule leaves, it leaves again.
            prop_assert_eq!(known.text(kept, 4_096, &arena, &Cell::default()), kept);
        }

        #[test]
        fn no_text_makes_it_panic(text in any::<String>(), most in 0..40_usize) {
            let own = &*ANY;
            let arena = Bump::new();
            let kept = own.text(without_queries(&text, &arena), most, &arena, &Cell::default());
            prop_assert!(kept.len() <= most);
            own.session(&text, "acme", &arena, &Cell::default());
        }
    }
}
