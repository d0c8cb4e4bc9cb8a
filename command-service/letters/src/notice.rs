//! Letters about money owed, all of one build: a sentence, the facts, what to do, and where.

use askama::Template;
use chrono::NaiveDate;
use events::{Money, autopay::PauseReason};

use crate::{
    About, Charge, Method, Pause, RenderError, Rendered, date,
    layout::one_line,
    means::method_name,
    money,
    page::{Envelope, Fact, Frame, Paper, finished, web_address},
};

/// The build that letters of this kind share, whoever they are to.
pub struct Notice {
    pub intro: String,
    pub facts: Vec<Fact>,
    pub after: Vec<String>,
    /// Beside the main action.
    pub second: Option<(&'static str, String)>,
}

#[derive(Template)]
#[template(path = "notice.html")]
pub struct NoticeHtml<'a> {
    pub frame: &'a Frame,
    pub letter: &'a Notice,
}

#[derive(Template)]
#[template(path = "notice.txt")]
pub struct NoticeText<'a> {
    pub frame: &'a Frame,
    pub letter: &'a Notice,
}

/// What follows a failed charge.
#[derive(Clone, Copy)]
pub enum Next {
    /// Another attempt, on this day; so many are left.
    Again(NaiveDate, u32),
    /// Another attempt, once autopay goes on.
    Waits,
    /// The resident pays with the bank's confirmation.
    Confirm,
    /// The resident pays by hand and brings another method.
    NewMethod,
    /// The resident pays by hand; there is nothing to reactivate.
    Alone,
}

impl Next {
    pub const fn after(reason: &PauseReason, retry: Option<(NaiveDate, u32)>, pause: Pause) -> Self {
        match (retry, reason, pause) {
            (Some((day, left)), _, _) => Self::Again(day, left),
            (None, PauseReason::AuthenticationRequired, _) => Self::Confirm,
            (None, PauseReason::Declined { .. }, Pause::ForAnother) => Self::Waits,
            (None, _, Pause::None) => Self::Alone,
            (None, _, Pause::ForThis | Pause::ForAnother) => Self::NewMethod,
        }
    }
}

pub fn reminder(
    paper: Paper<'_>,
    about: &About<'_>,
    balance: Money,
    due_on: NaiveDate,
    overdue: bool,
) -> Result<Rendered, RenderError> {
    let (phrases, invoice) = (&paper.words.reminder, &paper.words.invoice);
    let (title, due, settled) = (one_line(about.title), date(due_on, paper.language), !balance.is_positive());
    let balance = money(balance, paper.language);
    let subject = match (settled, overdue) {
        (true, _) => (phrases.subject_settled)(&title),
        (false, true) => (phrases.subject_overdue)(&title, &balance, &due),
        (false, false) => (phrases.subject)(&title, &balance, &due),
    };
    let intro = match (settled, overdue) {
        (true, _) => invoice.settled.to_owned(),
        (false, true) => (phrases.intro_overdue)(&due),
        (false, false) => phrases.intro.to_owned(),
    };
    let mut facts = invoice_facts(paper, about);
    if !settled {
        facts.push(Fact::strong(invoice.balance, balance));
    }
    facts.push(Fact::plain(invoice.due_on, due));
    let envelope = Envelope {
        resident: about.resident,
        subject,
        preheader: intro.clone(),
        action: if settled { invoice.view } else { invoice.pay },
        link: invoice_link(about)?,
    };
    let after = if settled { vec![] } else { vec![phrases.thanks.to_owned()] };
    written(paper, envelope, &Notice { intro, facts, after, second: None })
}

pub fn ahead(paper: Paper<'_>, about: &About<'_>, charge: &Charge<'_>) -> Result<Rendered, RenderError> {
    let phrases = &paper.words.autopay;
    let day = date(charge.on, paper.language);
    let intro = (phrases.ahead_intro)(&day);
    let envelope = Envelope {
        resident: about.resident,
        subject: (phrases.ahead_subject)(&money(charge.charged, paper.language), &day, &one_line(about.title)),
        preheader: intro.clone(),
        action: phrases.manage,
        link: autopay_link(about)?,
    };
    let after = vec![phrases.open_balance.to_owned(), (phrases.change)(&day)];
    let facts = charge_facts(paper, about, charge, phrases.to_charge, phrases.charge_on);
    let second = Some((paper.words.invoice.view, invoice_link(about)?));
    written(paper, envelope, &Notice { intro, facts, after, second })
}

pub fn held(
    paper: Paper<'_>,
    about: &About<'_>,
    amount: Money,
    cap: Money,
    due_on: NaiveDate,
) -> Result<Rendered, RenderError> {
    let phrases = &paper.words.autopay;
    let amount = money(amount, paper.language);
    let envelope = Envelope {
        resident: about.resident,
        subject: (phrases.held_subject)(&amount, &one_line(about.title)),
        preheader: phrases.held_intro.to_owned(),
        action: phrases.approve,
        link: invoice_link(about)?,
    };
    let mut facts = invoice_facts(paper, about);
    facts.extend([
        Fact::strong(paper.words.payment.amount, amount),
        Fact::plain(phrases.cap, money(cap, paper.language)),
        Fact::plain(paper.words.invoice.due_on, date(due_on, paper.language)),
    ]);
    let notice = Notice {
        intro: phrases.held_intro.to_owned(),
        facts,
        after: vec![phrases.held_options.to_owned()],
        second: Some((phrases.change_cap, autopay_link(about)?)),
    };
    written(paper, envelope, &notice)
}

pub fn charged(
    paper: Paper<'_>,
    about: &About<'_>,
    charge: &Charge<'_>,
    balance: Money,
) -> Result<Rendered, RenderError> {
    let (phrases, receipt) = (&paper.words.autopay, &paper.words.payment);
    let shown = money(balance, paper.language);
    let status = if balance.is_positive() { (receipt.remaining)(&shown) } else { receipt.settled.to_owned() };
    let envelope = Envelope {
        resident: about.resident,
        subject: (phrases.charged_subject)(&money(charge.charged, paper.language), &one_line(about.title)),
        preheader: status.clone(),
        action: receipt.view,
        link: invoice_link(about)?,
    };
    let mut facts = charge_facts(paper, about, charge, receipt.charged, phrases.charged_on);
    facts.push(Fact::plain(receipt.balance, shown));
    let notice = Notice {
        intro: phrases.charged_intro.to_owned(),
        facts,
        after: vec![format!("{status} {}", receipt.receipt)],
        second: Some((phrases.manage, autopay_link(about)?)),
    };
    written(paper, envelope, &notice)
}

pub fn failed(
    paper: Paper<'_>,
    about: &About<'_>,
    amount: Money,
    reason: &PauseReason,
    next: Next,
    pause: Pause,
) -> Result<Rendered, RenderError> {
    let phrases = &paper.words.autopay;
    let (title, amount, why) = (one_line(about.title), money(amount, paper.language), reason.words(paper.language));
    let mut facts = invoice_facts(paper, about);
    facts.extend([
        Fact::strong(paper.words.payment.amount, amount.clone()),
        Fact::strong(phrases.reason, why.to_owned()),
    ]);
    let (advice, second) = match next {
        Next::Again(day, left) => {
            let day = date(day, paper.language);
            let advice = (phrases.again)(&day);
            facts.extend([Fact::plain(phrases.next, day), Fact::plain(phrases.left, left.to_string())]);
            (advice, Some(phrases.update))
        }
        Next::Waits => (phrases.waits.to_owned(), Some(phrases.update)),
        Next::Confirm => (phrases.confirm.to_owned(), None),
        Next::NewMethod => (phrases.ended.to_owned(), Some(phrases.reactivate)),
        Next::Alone => (phrases.alone.to_owned(), None),
    };
    let subject = match next {
        Next::Again(..) | Next::Waits => (phrases.failed_subject)(&amount, &title),
        Next::Confirm | Next::NewMethod | Next::Alone => (phrases.ended_subject)(&title),
    };
    let intro =
        if matches!(reason, PauseReason::Returned { .. }) { phrases.returned_intro } else { phrases.failed_intro };
    let mut after = vec![advice];
    match (pause, next) {
        (Pause::None, _) => {}
        (Pause::ForThis, Next::Confirm) => after.push(phrases.paused_until_paid.to_owned()),
        (Pause::ForThis | Pause::ForAnother, _) => after.push(phrases.paused.to_owned()),
    }
    let envelope = Envelope {
        resident: about.resident,
        subject,
        preheader: format!("{}{} {why}", phrases.reason, paper.words.colon),
        action: phrases.pay_now,
        link: invoice_link(about)?,
    };
    let page = autopay_link(about)?;
    let notice = Notice { intro: intro.to_owned(), facts, after, second: second.map(|label| (label, page)) };
    written(paper, envelope, &notice)
}

pub fn paused(
    paper: Paper<'_>,
    resident: &str,
    reason: &PauseReason,
    method: Method<'_>,
    autopay_url: &str,
) -> Result<Rendered, RenderError> {
    let (phrases, labels) = (&paper.words.autopay, &paper.words.payment);
    let why = reason.words(paper.language);
    let envelope = Envelope {
        resident,
        subject: phrases.paused_subject.to_owned(),
        preheader: format!("{}{} {why}", phrases.reason, paper.words.colon),
        action: phrases.set_up,
        link: web_address(autopay_url, "link to autopay")?,
    };
    let facts =
        vec![Fact::strong(phrases.reason, why.to_owned()), Fact::plain(labels.method, method_name(method, labels))];
    let after = vec![phrases.paused_waits.to_owned(), phrases.paused_by_hand.to_owned()];
    written(paper, envelope, &Notice { intro: phrases.paused_intro.to_owned(), facts, after, second: None })
}

fn written(paper: Paper<'_>, envelope: Envelope<'_>, letter: &Notice) -> Result<Rendered, RenderError> {
    let frame = Frame::try_new(paper.words, paper.head, envelope)?;
    let html = NoticeHtml { frame: &frame, letter }.render()?;
    let text = NoticeText { frame: &frame, letter }.render()?;
    Ok(finished(frame, html, &text))
}

fn invoice_facts(paper: Paper<'_>, about: &About<'_>) -> Vec<Fact> {
    let labels = &paper.words.payment;
    vec![Fact::plain(labels.invoice, one_line(about.title)), Fact::plain(labels.unit, one_line(about.unit))]
}

fn charge_facts(
    paper: Paper<'_>,
    about: &About<'_>,
    charge: &Charge<'_>,
    total: &'static str,
    day: &'static str,
) -> Vec<Fact> {
    let labels = &paper.words.payment;
    let mut facts = invoice_facts(paper, about);
    facts.push(Fact::strong(labels.amount, money(charge.amount, paper.language)));
    if !charge.fee.is_zero() {
        facts.push(Fact::plain(labels.fee, money(charge.fee, paper.language)));
    }
    if charge.charged != charge.amount {
        facts.push(Fact::strong(total, money(charge.charged, paper.language)));
    }
    facts.extend([
        Fact::plain(labels.method, method_name(charge.method, labels)),
        Fact::plain(day, date(charge.on, paper.language)),
    ]);
    facts
}

fn invoice_link(about: &About<'_>) -> Result<String, RenderError> {
    web_address(&about.invoice_url, "link to the invoice")
}

fn autopay_link(about: &About<'_>) -> Result<String, RenderError> {
    web_address(&about.autopay_url, "link to autopay")
}
