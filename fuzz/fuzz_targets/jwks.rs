#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    tagline::fuzz::jwks(input);
});
