mod libjpeg; mod mosaic; mod pixels;
#[cfg(test)]
mod scratch {
    use super::*;
    #[test]
    fn run() {
        let Ok(list) = std::env::var("SCRATCH") else { return };
        let target: f64 = std::env::var("T").unwrap().parse().unwrap();
        for path in list.split_whitespace() {
            let bytes = std::fs::read(path).unwrap();
            let t0 = std::time::Instant::now();
            let tr = match libjpeg::transcode(&bytes, 100) { Ok(t) => t, Err(e) => { println!("{path}: {e:?}"); continue } };
            let t1 = t0.elapsed();
            let aim = pixels::Aim { target, ceiling: tr.len(), max_scans: 100 };
            let t0 = std::time::Instant::now();
            let r = pixels::encode_to_target(&bytes, aim, crate::optimize::Budget::UNLIMITED).unwrap();
            println!("{} in {} transcode {} {:?}  pixels {:?} score {:?} {:?} own {:?}", path.rsplit('/').next().unwrap(), bytes.len(), tr.len(), t1, r.as_ref().map(|r| r.bytes.len()), r.as_ref().and_then(|r| r.score), t0.elapsed(), libjpeg::scale_of_own_table(&libjpeg::read_coding(&bytes).unwrap().tables[0]));
            if let Some(r) = r { std::fs::write(format!("/tmp/k/out_{}", path.rsplit('/').next().unwrap()), r.bytes).unwrap(); }
        }
    }
}
