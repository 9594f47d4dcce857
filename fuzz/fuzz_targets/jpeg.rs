#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| karui_fuzz::jpeg(data));
