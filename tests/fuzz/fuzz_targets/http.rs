#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| llmtap_tests::fuzz::check("http", bytes));
