//! When a snapshot is due: five fields of a cron schedule, in UTC. Pure.

use jiff::civil::{Date, Time, Weekday};
use jiff::{Timestamp, ToSpan as _, tz::TimeZone};

/// A schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Both the day of the month and the day of the week are restricted: either is enough, as cron has it.
    either_day: bool,
}

/// Why a schedule is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` is no {what} of a cron schedule")]
pub struct ScheduleError {
    what: &'static str,
    field: String,
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// No schedule that ever comes due waits longer: 29 February, over a century's end.
const FARTHEST: i32 = 366 * 8 + 2;

impl Schedule {
    /// Reads five fields: minute, hour, day of the month, month, day of the week.
    pub fn parse(text: &str) -> Result<Self, ScheduleError> {
        let fields: Vec<_> = text.split(' ').collect();
        let [minutes, hours, days, months, weekdays] = fields[..] else {
            return Err(ScheduleError { what: "five fields", field: text.to_owned() });
        };
        let mut week = field(weekdays, "day of the week", 0, 7, &WEEKDAYS)?;
        week |= week >> 7 & 1;
        Ok(Self {
            minutes: field(minutes, "minute", 0, 59, &[])?,
            hours: field(hours, "hour", 0, 23, &[])?,
            days: field(days, "day of the month", 1, 31, &[])?,
            months: field(months, "month", 1, 12, &MONTHS)?,
            weekdays: week,
            either_day: !days.starts_with('*') && !weekdays.starts_with('*'),
        })
    }

    /// The last time it came due, at or before `now`. `None` if it never does.
    pub fn last(&self, now: Timestamp) -> Option<Timestamp> {
        let now = now.to_zoned(TimeZone::UTC).datetime();
        let mut date = now.date();
        for day in 0..FARTHEST {
            if self.is_day(date) {
                let (hour, minute) = if day == 0 { (now.hour(), now.minute()) } else { (23, 59) };
                if let Some(time) = self.last_of_day(hour, minute) {
                    return date
                        .to_datetime(time)
                        .to_zoned(TimeZone::UTC)
                        .ok()
                        .map(|zoned| zoned.timestamp());
                }
            }
            date = date.checked_sub(1.day()).ok()?;
        }
        None
    }

    fn is_day(&self, date: Date) -> bool {
        let day = has(self.days, date.day());
        let weekday = has(self.weekdays, date.weekday().since(Weekday::Sunday));
        has(self.months, date.month()) && if self.either_day { day || weekday } else { day && weekday }
    }

    fn last_of_day(&self, hour: i8, minute: i8) -> Option<Time> {
        (0..=hour).rev().filter(|of| has(self.hours, *of)).find_map(|of| {
            let latest = if of == hour { minute } else { 59 };
            let minute = (0..=latest).rev().find(|minute| has(self.minutes, *minute))?;
            Time::new(of, minute, 0, 0).ok()
        })
    }
}

fn has(set: u64, at: i8) -> bool {
    u32::try_from(at).is_ok_and(|at| set >> at & 1 == 1)
}

/// One field: a list of `*`, numbers, names and ranges, each with `/step`.
fn field(text: &str, what: &'static str, low: u32, high: u32, names: &[&str]) -> Result<u64, ScheduleError> {
    let wrong = || ScheduleError { what, field: text.to_owned() };
    let number = |word: &str| {
        let named = names.iter().position(|name| name.eq_ignore_ascii_case(word));
        let first = if names.len() == 12 { 1 } else { 0 };
        let named = named.and_then(|index| u32::try_from(index).ok()).map(|index| index + first);
        named.or_else(|| word.parse().ok()).filter(|number| (low..=high).contains(number)).ok_or_else(wrong)
    };
    let mut set = 0;
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => {
                (range, step.parse::<usize>().ok().filter(|step| *step > 0).ok_or_else(wrong)?)
            }
            None => (part, 1),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (low, high),
            Some((from, to)) => (number(from)?, number(to)?),
            // `5/10` means from 5 on, as cron has it.
            None if part.contains('/') => (number(range)?, high),
            None => (number(range)?, number(range)?),
        };
        if from > to {
            return Err(wrong());
        }
        for at in (from..=to).step_by(step) {
            set |= 1 << at;
        }
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_schedule_was_last_due_when_cron_says() {
        // 2026-11-21 is a Saturday.
        let now: Timestamp = "2026-11-21T14:12:51Z".parse().unwrap();
        let table = [
            ("0 3 * * *", Some("2026-11-21T03:00:00Z")),
            ("30 14 * * *", Some("2026-11-20T14:30:00Z")),
            ("12 14 * * *", Some("2026-11-21T14:12:00Z")),
            ("*/15 * * * *", Some("2026-11-21T14:00:00Z")),
            ("5/20 * * * *", Some("2026-11-21T14:05:00Z")),
            ("0 0 * * MON-FRI", Some("2026-11-20T00:00:00Z")),
            ("0 0 * * 7", Some("2026-11-15T00:00:00Z")),
            ("0 0 1 jan,JUL *", Some("2026-07-01T00:00:00Z")),
            ("0 0 29 2 *", Some("2024-02-29T00:00:00Z")),
            ("0 0 13 * 5", Some("2026-11-20T00:00:00Z")),
            ("0 0 31 2 *", None),
        ];
        for (text, due) in table {
            let last = Schedule::parse(text).unwrap().last(now);
            assert_eq!(last, due.map(|due| due.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for text in [
            "",
            "* * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "*/0 * * * *",
            "5-1 * * * *",
            "x * * * *",
        ] {
            assert!(Schedule::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_reads_comes_to_an_end_and_is_never_in_the_future(
            text in "[0-9*/,-]{1,6}( [0-9*/,A-Za-z-]{1,6}){4}", second in 0_i64..4_000_000_000,
        ) {
            let now = Timestamp::from_second(second).unwrap();
            if let Ok(schedule) = Schedule::parse(&text) {
                let last = schedule.last(now);
                prop_assert!(last.is_none_or(|last| last <= now));
            }
        }
    }
}
