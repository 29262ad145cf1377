//! Reading and writing lines, beside the `irc-proto` crate in the same run.
#![expect(clippy::unwrap_used, reason = "a benchmark")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use irc::{Casemapping, Message, line, split};

const LINES: &[(&str, &str)] = &[
    ("ping", "PING :irc.test\r\n"),
    ("privmsg", ":dan!d@host.example PRIVMSG #channel :hello there, how are you today?\r\n"),
    (
        "tagged",
        "@time=2026-11-21T09:00:00.000Z;msgid=f3Kq9;account=dan;+draft/reply=a1 :dan!d@host PRIVMSG #c :hi all\r\n",
    ),
    ("names", ":irc.test 353 me = #channel :@ada +bob carol dave eve frank grace heidi ivan judy\r\n"),
    (
        "isupport",
        ":irc.test 005 me AWAYLEN=390 BOT=B CASEMAPPING=ascii CHANTYPES=# EXCEPTS INVEX :are supported\r\n",
    ),
];

/// Both are asked for a reference to what they made, so that neither pays for moving it about.
fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    for (name, text) in LINES {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(format!("{name}/irc"), |bench| bench.iter(|| parse_ours(text)));
        group.bench_function(format!("{name}/irc-proto"), |bench| bench.iter(|| parse_theirs(text)));
    }
    group.throughput(Throughput::Elements(LINES.len() as u64));
    group.bench_function("all of them/irc", |bench| {
        bench.iter(|| LINES.iter().for_each(|(_, text)| parse_ours(text)));
    });
    group.bench_function("all of them/irc-proto", |bench| {
        bench.iter(|| LINES.iter().for_each(|(_, text)| parse_theirs(text)));
    });
    group.finish();
}

#[inline]
fn parse_ours(text: &str) {
    let _ = black_box(&Message::parse(black_box(text.as_bytes())));
}

#[inline]
fn parse_theirs(text: &str) {
    let _ = black_box(&black_box(text).parse::<irc_proto::Message>());
}

fn read_everything(criterion: &mut Criterion) {
    let (_, text) = LINES[2];
    criterion.bench_function("parse, two tags and the source", |bench| {
        bench.iter(|| {
            let message = Message::parse(black_box(text.as_bytes())).unwrap();
            black_box((
                message.tag("time"),
                message.tag("msgid"),
                message.source.map(|source| source.parts()),
            ))
        });
    });
}

fn write(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("write");
    for (name, text) in LINES {
        group.throughput(Throughput::Bytes(text.len() as u64));
        let message = Message::parse(text.as_bytes()).unwrap();
        let mut out = Vec::with_capacity(1024);
        group.bench_function(format!("{name}/irc"), |bench| {
            bench.iter(|| {
                out.clear();
                black_box(&message).write_to(&mut out);
                out.len()
            });
        });
        let theirs: irc_proto::Message = text.parse().unwrap();
        group.bench_function(format!("{name}/irc-proto"), |bench| {
            bench.iter(|| black_box(&theirs).to_string())
        });
    }
    group.bench_function("builder", |bench| {
        bench.iter(|| {
            line("PRIVMSG").tag("time", "x").source("a!b@c").param("#chan").trailing("hello").to_bytes()
        });
    });
    group.finish();
}

fn other(criterion: &mut Criterion) {
    criterion.bench_function("fold a channel name", |bench| {
        bench.iter(|| Casemapping::Rfc1459.fold(black_box("#Some-Channel")));
    });
    let long = "some words that go on and on, and ümläuts too ".repeat(100);
    criterion.bench_function("split 4.7 KB", |bench| {
        bench.iter(|| split::pieces(black_box(long.as_bytes()), 400).count());
    });
}

criterion_group!(benches, parse, read_everything, write, other);
criterion_main!(benches);
