use futures::StreamExt;
use palanquin_engine::contract::*;
#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(args[2].parse().unwrap());
    let palace =
        palanquin_chroma::ChromaBackend::new().open(&PalaceRef::local(&args[1]), OpenMode::Read).await.unwrap();
    let (mut scans, mut rows, mut bad, mut none, mut errs, mut pages) = (0, 0, 0, 0, 0, 0);
    let mut slow = 0.0f64;
    let cols = [palace.collection("cos").await.unwrap(), palace.collection("l2c").await.unwrap()];
    while std::time::Instant::now() < until {
        for col in &cols {
            let mut last = String::new();
            let mut s = col.scan(ScanRequest { range: KeyRange::ALL, order: ScanOrder::ById, batch_rows: 300 });
            loop {
                let t = std::time::Instant::now();
                let Some(b) = s.next().await else { break };
                slow = slow.max(t.elapsed().as_secs_f64());
                match b {
                    Err(e) => {
                        errs += 1;
                        println!("{:?} {e}", e.kind());
                    }
                    Ok(b) => {
                        pages += 1;
                        for r in b.rows() {
                            rows += 1;
                            assert!(r.id > last.as_str());
                            last = r.id.to_owned();
                            let i: f32 = r.id[1..].parse().unwrap();
                            let Some(v) = r.embedding else {
                                none += 1;
                                println!("NONE {} {}", r.id, r.metadata);
                                continue;
                            };
                            let ver = v[2].round();
                            let want = format!("{{\"i\":{},\"ver\":{}}}", i, ver);
                            if r.metadata != want
                                || r.document != Some(format!("{ver}/{i}").as_str())
                                || (v[0] - 1000.0).abs() > 0.01
                                || (v[1] - i).abs() > 0.01
                                || (v[2] - ver).abs() > 0.01
                            {
                                bad += 1;
                                println!("BAD {} {} {:?} {:?}", r.id, r.metadata, r.document, &v[..3]);
                            }
                        }
                    }
                }
            }
            scans += 1;
            let _ = col.count().await.unwrap();
        }
    }
    println!("scans {scans} pages {pages} rows {rows} bad {bad} none {none} errors {errs} slowest page {slow:.3} s");
}
