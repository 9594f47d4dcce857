mod pack; mod pixels; mod quantize;
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
            let Ok(px) = pixels::decode(&bytes) else { println!("{path}: no decode"); continue };
            let td = t0.elapsed();
            let raw = px.rgba.len()*4;
            let mut l = Vec::new();
            for e in [crate::optimize::Effort::Default, crate::optimize::Effort::Fast] {
            let t0 = std::time::Instant::now();
            let a = pack::lossless(&bytes, raw, e).unwrap();
            l.push(format!("{} {:?}", a.len(), t0.elapsed()));
            }
            let t0 = std::time::Instant::now();
            let r = quantize::to_target(&px, target, true).unwrap();
            let tq = t0.elapsed();
            let t0 = std::time::Instant::now();
            let s = r.as_ref().map(|r| format!("colors {} score {:.2} bytes {}", r.palette.len(), r.score, pack::indexed(r, [], crate::optimize::Effort::Default).unwrap().len()));
            println!("{} {:.2}MP in {} dec {td:?} lossless {l:?} quant {tq:?} {s:?} {:?}", path.rsplit('/').next().unwrap(), px.rgba.len() as f64/1e6, bytes.len(), t0.elapsed());
        }
    }
}
