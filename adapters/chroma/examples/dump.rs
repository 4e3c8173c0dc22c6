use futures::StreamExt;
use palanquin_engine::contract::*;
use std::io::Write;
#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    let palace = palanquin_chroma::ChromaBackend::new()
        .open(&PalaceRef::local(&args[1]), OpenMode::Read)
        .await
        .unwrap_or_else(|e| {
            println!("ERR {:?} {e}", e.kind());
            std::process::exit(1)
        });
    let mode = args[2].as_str();
    let batch: usize = args.get(3).map_or(1000, |s| s.parse().unwrap());
    if mode == "health" {
        println!("{:#?}\n{:#?}", palace.health().await, palace.maintenance_state().await.unwrap());
        return;
    }
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for info in palace.collections().await.unwrap() {
        let col = palace.collection(&info.name).await.unwrap();
        if mode == "info" {
            println!(
                "{info:?} cut={:?} last={:?}",
                col.cut(700).await.unwrap().len(),
                col.last_id(&KeyRange::ALL).await.unwrap()
            );
            continue;
        }
        let t = std::time::Instant::now();
        let (mut n, mut bytes) = (0usize, 0usize);
        for part in col.cut(if mode == "bench" { u64::MAX } else { 700 }).await.unwrap() {
            let mut s = col.scan(ScanRequest { range: part.range, order: ScanOrder::ById, batch_rows: batch });
            while let Some(b) = s.next().await {
                let b = match b {
                    Ok(b) => b,
                    Err(e) => {
                        println!("ERR {:?} {e}", e.kind());
                        std::process::exit(1)
                    }
                };
                n += b.len();
                bytes += b.bytes();
                if mode == "dump" {
                    for r in b.rows() {
                        let v = r.embedding.map(|v| {
                            v.iter().flat_map(|f| f.to_le_bytes()).map(|b| format!("{b:02x}")).collect::<String>()
                        });
                        writeln!(
                            out,
                            "{}",
                            serde_json::json!({"c": info.name, "id": r.id, "d": r.document, "m": r.metadata, "v": v})
                        )
                        .unwrap();
                    }
                }
            }
        }
        assert_eq!(n as u64, col.count().await.unwrap());
        let e = t.elapsed();
        if mode == "bench" {
            println!("{}: {n} rows in {e:?} = {:.0} rows/s, {} MB", info.name, n as f64 / e.as_secs_f64(), bytes >> 20);
            let st = std::fs::read_to_string("/proc/self/status").unwrap();
            for l in st.lines().filter(|l| l.starts_with("VmHWM") || l.starts_with("VmRSS")) {
                println!("{l}");
            }
        }
    }
}
