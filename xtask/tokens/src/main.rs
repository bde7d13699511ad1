//! Engines that count tokens, side by side: `cargo xtask bench tokens`.
//!
//! Each engine counts the same documents in turn, round after round, so that what else the machine does falls
//! on all alike; the figure is the median round. Counts that disagree with tiktoken-rs are named, and end the
//! run with status 1.
//!
//! Code and English are this repository's own. The texts in Chinese and Japanese are made of common words and
//! of characters at random, since the repository has none. `LLMTAP_BENCH_TEXTS` names files with others, with
//! colons between. Arguments name the encodings to measure; without any it is all, and how long loading and
//! hostile texts take.

use std::{
    env, fs,
    hint::black_box,
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use analyzer::tokens::Vocabulary;

/// Rounds of which the median is taken.
const ROUNDS: usize = 7;
/// Bytes that a round counts at least, of documents of one size.
const ROUND: usize = 1 << 20;
const SIZES: [usize; 3] = [1 << 10, 32 << 10, 1 << 20];

type Count = Box<dyn Fn(&str) -> u64>;

struct Engine {
    name: &'static str,
    count: Count,
}

fn engines(encoding: Vocabulary) -> Vec<Engine> {
    let tokenizer = encoding.tokenizer();
    let (reference, bpe) = match encoding {
        Vocabulary::Cl100kBase => (
            tiktoken_rs::cl100k_base_singleton(),
            bpe_openai::cl100k_base(),
        ),
        _ => (
            tiktoken_rs::o200k_base_singleton(),
            bpe_openai::o200k_base(),
        ),
    };
    let tiktoken = tiktoken::get_encoding(encoding.name());
    let toktok = toktok::Tokenizer::builtin(encoding.name());
    let mut engines = vec![
        engine("tiktoken-rs", move |text| {
            reference.encode_ordinary(text).len() as u64
        }),
        engine("bpe-openai", move |text| bpe.count(text) as u64),
    ];
    if let Some(tiktoken) = tiktoken {
        engines.push(engine("tiktoken", move |text| tiktoken.count(text) as u64));
    }
    if let Ok(toktok) = toktok {
        engines.push(engine("toktok-rs", move |text| {
            toktok.count(text.as_bytes()) as u64
        }));
    }
    engines.push(engine("llmtap", move |text| tokenizer.count(text)));
    engines
}

fn engine(name: &'static str, count: impl Fn(&str) -> u64 + 'static) -> Engine {
    Engine {
        name,
        count: Box::new(count),
    }
}

fn main() -> io::Result<ExitCode> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut out = io::stdout().lock();
    let only: Vec<String> = env::args().skip(1).collect();
    let wanted = |encoding: Vocabulary| only.is_empty() || only.iter().any(|name| name == encoding.name());
    if only.is_empty() {
        loading(&mut out)?;
    }
    let mut documents = documents(&root)?;
    let given = env::var("LLMTAP_BENCH_TEXTS").unwrap_or_default();
    let given: Vec<&str> = given.split(':').filter(|path| !path.is_empty()).collect();
    for path in &given {
        let name = path.rsplit('/').next().unwrap_or(path);
        documents.push((name, fs::read_to_string(path)?));
    }
    let mut agree = true;
    for encoding in [Vocabulary::Cl100kBase, Vocabulary::O200kBase].into_iter().filter(|one| wanted(*one)) {
        let engines = engines(encoding);
        for size in SIZES {
            writeln!(out, "\n{}, documents of {} KiB: MB/s, and times tiktoken-rs", encoding.name(), size >> 10)?;
            write!(out, "{:<12}", "")?;
            for engine in &engines {
                write!(out, "{:>18}", engine.name)?;
            }
            writeln!(out)?;
            for (name, text) in &documents {
                let parts = parts(text, size);
                write!(out, "{name:<12}")?;
                agree &= compare(&mut out, &engines, &parts)?;
            }
        }
    }
    if only.is_empty() {
        hostile(&mut out)?;
    }
    others(&mut out, &documents, wanted)?;
    if !agree {
        writeln!(out, "\nnot all counts agree")?;
        return Ok(ExitCode::FAILURE);
    }
    writeln!(out, "\nall counts but those marked with ! agree with tiktoken-rs")?;
    Ok(ExitCode::SUCCESS)
}

/// A row: each engine's rate. Ours has to agree with the reference; others are marked where they do not.
fn compare(out: &mut impl io::Write, engines: &[Engine], parts: &[&str]) -> io::Result<bool> {
    let bytes: usize = parts.iter().map(|part| part.len()).sum();
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); engines.len()];
    let mut counts = vec![0; engines.len()];
    for _ in 0..ROUNDS {
        for (number, engine) in engines.iter().enumerate() {
            let begun = Instant::now();
            counts[number] = parts.iter().map(|part| (engine.count)(black_box(part))).sum();
            times[number].push(begun.elapsed());
        }
    }
    let rate = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        bytes as f64 / 1e6 / times[ROUNDS / 2].as_secs_f64()
    };
    let rates: Vec<f64> = times.iter_mut().map(rate).collect();
    let mut agree = true;
    for ((engine, rate), count) in engines.iter().zip(&rates).zip(&counts) {
        let mark = if *count == counts[0] { "" } else { "!" };
        agree &= mark.is_empty() || engine.name != "llmtap";
        write!(out, "{:>18}", format!("{mark}{rate:.1} ({:.1}x)", rate / rates[0]))?;
    }
    writeln!(out)?;
    Ok(agree)
}

/// One unbroken piece of a megabyte: the time that ours takes.
fn hostile(out: &mut impl io::Write) -> io::Result<()> {
    writeln!(out, "\none unbroken run of 1 MB, llmtap: milliseconds")?;
    let noise = |alphabet: &str| {
        let alphabet: Vec<char> = alphabet.chars().collect();
        let mut random = Random(7);
        let mut text = String::new();
        while text.len() < 1_000_000 {
            text.push(alphabet[random.below(alphabet.len())]);
        }
        text
    };
    write!(out, "{:<16}", "")?;
    for encoding in Vocabulary::ALL {
        write!(out, "{:>14}", encoding.name())?;
    }
    writeln!(out)?;
    let letters = "abcdefghijklmnopqrstuvwxyz";
    for (name, text) in [
        ("one letter", noise("a")),
        ("letters", noise(letters)),
        ("letters, cases", noise(&format!("{letters}{}", letters.to_uppercase()))),
        ("digits", noise("0123456789")),
        ("one space", noise(" ")),
        ("white space", noise(" \t")),
        ("line ends", noise("\r\n")),
        ("signs", noise("!=-#~*_+")),
        ("one ideograph", noise("你")),
        ("ideographs", ('\u{4e00}'..='\u{9fff}').cycle().take(333_333).collect()),
        ("kana", noise("あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほまみむめもやゆよらりるれろわをん")),
        ("Thai", noise("กขคงจฉชซญฐฑณดตถทธนบปผพฟภมยรลวศษสหอะาเแโ")),
        ("emoji", noise("👍🏽👩🎉❤")),
        ("mixed", noise("aB你の👍é한")),
    ] {
        write!(out, "{name:<16}")?;
        for encoding in Vocabulary::ALL {
            let tokenizer = encoding.tokenizer();
            tokenizer.count("loaded");
            let begun = Instant::now();
            black_box(tokenizer.count(&text));
            let taken = begun.elapsed().as_secs_f64() * 1e3;
            write!(out, "{taken:>14.0}")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// Each vocabulary's first count: how long it takes, and what the process grows by.
fn loading(out: &mut impl io::Write) -> io::Result<()> {
    writeln!(out, "loading, one vocabulary after the other: milliseconds, and MiB resident before and after")?;
    for encoding in Vocabulary::ALL {
        let before = resident();
        let begun = Instant::now();
        black_box(encoding.tokenizer().count("loaded"));
        let taken = begun.elapsed().as_secs_f64() * 1e3;
        writeln!(out, "{:<16}{taken:>8.0}{before:>8.1}{:>8.1}", encoding.name(), resident())?;
    }
    Ok(())
}

/// MiB that this process has in memory; 0 where the system does not say.
fn resident() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}

/// The other vocabularies, beside the only other engine that has them.
fn others(
    out: &mut impl io::Write,
    documents: &[(&str, String)],
    wanted: impl Fn(Vocabulary) -> bool,
) -> io::Result<()> {
    let all = [
        (Vocabulary::Qwen2, "qwen2"),
        (Vocabulary::DeepSeekV3, "deepseek_v3"),
        (Vocabulary::Tekken, "mistral_v3"),
        (Vocabulary::Glm4, "glm4"),
        (Vocabulary::KimiK2, "kimi_k2"),
        (Vocabulary::MiniMaxM2, "minimax_m2"),
    ];
    for (encoding, theirs) in all.into_iter().filter(|(encoding, _)| wanted(*encoding)) {
        let tokenizer = encoding.tokenizer();
        let mut engines = Vec::new();
        if let Some(tiktoken) = tiktoken::get_encoding(theirs) {
            engines.push(engine("tiktoken", move |text| tiktoken.count(text) as u64));
        }
        engines.push(engine("llmtap", move |text| tokenizer.count(text)));
        writeln!(out, "\n{}, documents of 32 KiB: MB/s, tiktoken and llmtap", encoding.name())?;
        for (name, text) in documents {
            write!(out, "{name:<12}")?;
            compare(out, &engines, &parts(text, 32 << 10))?;
        }
    }
    Ok(())
}

/// Parts of about this size, as many as make a round, beginning anew where the text ends.
fn parts(text: &str, size: usize) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut at, mut sum) = (0, 0);
    while sum < ROUND {
        let end = text.ceil_char_boundary((at + size).min(text.len()));
        parts.push(&text[at..end]);
        sum += end - at;
        at = if end == text.len() { 0 } else { end };
    }
    parts
}

fn documents<'a>(root: &Path) -> io::Result<Vec<(&'a str, String)>> {
    let mut code = String::new();
    for folder in ["analyzer/src", "sniffer/src"] {
        read(&root.join(folder), "rs", &mut code)?;
    }
    let comment = |line: &str| {
        let line = line.trim_start();
        let text = line.strip_prefix("//! ").or_else(|| line.strip_prefix("/// "))?;
        Some(format!("{text}\n"))
    };
    let mut english = String::new();
    for file in ["README.md", "ARCHITECTURE.md", "BENCHMARKS.md"] {
        english.push_str(&fs::read_to_string(root.join(file)).unwrap_or_default());
    }
    english.extend(code.lines().filter_map(comment));
    let words = |list: &str, ideographs: u32, signs: &[char]| {
        let list: Vec<&str> = list.split(' ').collect();
        let mut random = Random(3);
        let mut text = String::new();
        while text.len() < ROUND {
            // Common words more often than others, and one character in some that is rare.
            let first = random.below(list.len());
            match random.below(8) {
                0 => text.extend(char::from_u32(0x4e00 + random.below(ideographs as usize) as u32)),
                1 => text.push(signs[random.below(signs.len())]),
                _ => text.push_str(list[random.below(first + 1)]),
            }
        }
        text
    };
    let chinese = words(
        "的 是 我们 可以 一个 了 在 和 这 有 不 人 他 中国 问题 没有 时候 因为 所以 如果 模型 数据 使用 需要 进行 \
         服务 用户 请求 返回 结果 系统 信息 技术 发展 社会 经济 文化 学习 研究 方法 重要 世界 工作 生活 公司 市场 \
         产品 管理 政府 国家 历史 语言 智能 人工 训练 输入 输出 计算 网络 时间 分析 报告 北京 上海 大学 学生 老师 \
         朋友 家庭 健康 医院 科学 自然 环境 能源 未来 希望 帮助 解决 提供 包括 通过 关于 其中 例如 但是 而且 并且",
        2_000,
        &['，', '。', '、', '！', '？', '\n', '：', '“', '”'],
    );
    let japanese = words(
        "の は を が に と です ます して から これ それ ある する こと もの ため など よう さん 日本 東京 データ モデル \
         テスト システム ユーザー 利用 結果 場合 方法 必要 可能 言語 学習 情報 技術 世界 時間 会社 社会 問題 研究 \
         という について ください ありがとう でしょう しました されて いる ない った って",
        1_500,
        &['、', '。', '「', '」', '\n', '！', '・'],
    );
    let emoji = words(
        "👍 😂 ❤️ 🎉 ok 👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 🇩🇪 yes 🔥 ✨ thanks 🚀 💯 🤔 see you 🙏 😭 🥰 🇯🇵 ☀️ 1️⃣ great",
        1,
        &[' ', '\n', '!', '~'],
    );
    let mut random = Random(5);
    let mut spaces = String::new();
    while spaces.len() < ROUND {
        let run = [" ", "\n", "\t", "    ", "\r\n", "\n\n"][random.below(6)];
        spaces.push_str(&run.repeat(1 + random.below(20)));
        spaces.push_str(["x", "}", "1", "end"][random.below(4)]);
    }
    let mut noise = String::new();
    while noise.len() < ROUND {
        noise.extend(char::from_u32(random.below(0x3_0000) as u32));
    }
    Ok(vec![
        ("code", code),
        ("English", english),
        ("Chinese", chinese),
        ("Japanese", japanese),
        ("emoji", emoji),
        ("spaces", spaces),
        ("noise", noise),
    ])
}

/// Appends all files of this kind, in the order of their names.
fn read(folder: &Path, kind: &str, text: &mut String) -> io::Result<()> {
    let mut entries: Vec<_> = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<_>>()?;
    entries.sort();
    for entry in entries {
        if entry.is_dir() {
            read(&entry, kind, text)?;
        } else if entry.extension().is_some_and(|found| found == kind) {
            text.push_str(&fs::read_to_string(entry)?);
        }
    }
    Ok(())
}

/// The same numbers in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}
