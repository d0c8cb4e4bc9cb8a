//! Twilio's notices: what became of a text, and what people write.

use chrono::{DateTime, Utc};
use domain::{
    Resident, SmsConsent, TextMessage,
    inbound_text::{INSTALLATION, KeepUnknownText},
    sms_consent::{ProviderReading, RecordInboundText},
    text_message::{RecordText, TextReport},
};
use events::{InboundId, NumberKey, OrganizationId, Phone, TextId, sms_consent::Reading};
use integrations::twilio::webhook::{Answered, InboundNotice, StatusNotice, TwilioNotice, parse};

use super::{Verdict, ask};
use crate::{
    Fault,
    effects::{Effects, text_report},
    recipients,
};

/// `arrived` is when the notice came, however late it is understood: of two words the one that came last counts.
pub(super) async fn understand(effects: &Effects, raw: &[u8], arrived: DateTime<Utc>) -> Result<Verdict, Fault> {
    match parse(raw) {
        Ok(TwilioNotice::Status(notice)) => status(effects, &notice).await,
        Ok(TwilioNotice::Inbound(notice)) => inbound(effects, notice, arrived).await,
        Err(_) => Ok(Verdict::Ignored("not readable as a webhook")),
    }
}

/// Bound by our own id, which is part of the signed address: it may come before the answer to our call.
async fn status(effects: &Effects, notice: &StatusNotice) -> Result<Verdict, Fault> {
    let (Some(organization), Some(text)) = (notice.organization.map(OrganizationId), notice.text) else {
        return Ok(Verdict::Ignored("not one of our texts"));
    };
    let known: TextMessage = match effects.engine.state(organization, text).await {
        Ok(known) => known,
        Err(Fault::Missing) => return Ok(Verdict::Ignored("not one of our texts")),
        Err(fault) => return Err(fault),
    };
    if known.frozen.is_none() {
        return Ok(Verdict::Ignored("not handed over by us"));
    }
    if known.provider_id.as_ref().is_some_and(|known| *known != notice.sid) {
        return Ok(Verdict::Ignored("about another text than the one that was accepted"));
    }
    let accepted = TextReport::Accepted { provider_id: notice.sid.clone() };
    let event = format!("{}/{}", notice.sid, notice.word);
    for report in [Some(accepted), text_report(notice.status, notice.error)].into_iter().flatten() {
        let command = RecordText { text_id: TextId(text), report };
        effects.engine.execute(command, &ask(organization, "twilio", &event)).await?;
    }
    Ok(Verdict::Done)
}

/// One of those that a number may speak for.
struct Stream {
    organization: OrganizationId,
    key: NumberKey,
    consent: SmsConsent,
    /// The resident was: then nothing is kept but that a word came, and nothing is answered.
    erased: bool,
    command: RecordInboundText,
}

/// A number that several have, here or in other organizations, speaks for all of them; one of them answers. What else was written
/// goes to those only to whom the number's owner confirmed it: anybody may type a number.
async fn inbound(effects: &Effects, notice: InboundNotice, received_at: DateTime<Utc>) -> Result<Verdict, Fault> {
    let engine = &effects.engine;
    let Ok(number) = Phone::parse(&notice.from) else {
        return Ok(Verdict::Ignored("not from a telephone number"));
    };
    let answered_by_provider = notice.answered.map(|answered| match answered {
        Answered::Stop => ProviderReading::Stop,
        Answered::Help => ProviderReading::Help,
        Answered::Start => ProviderReading::Start,
    });
    let mut streams = Vec::new();
    for (organization, resident_id) in recipients::of_number(engine, &number).await? {
        let command = RecordInboundText {
            resident_id,
            inbound_id: InboundId::derived(resident_id.0, &notice.sid),
            number: number.clone(),
            body: notice.body.clone(),
            provider_id: notice.sid.clone(),
            received_at,
            answered_by_provider,
            answers: false,
        };
        let consent = engine.state(organization, SmsConsent::id(resident_id)).await?;
        let erased = engine.state::<Resident>(organization, resident_id.0).await?.erased;
        let key = NumberKey(engine.store().keyring().digest(organization, number.as_str()));
        streams.push(Stream { organization, key, consent, erased, command });
    }
    let is_word = streams.first().is_some_and(|stream| match stream.command.reading() {
        Reading::Stop | Reading::Help | Reading::Start => true,
        Reading::MayMeanStop | Reading::Other => false,
    });
    if !is_word && !streams.iter().any(|stream| stream.erased || stream.consent.knows(stream.key)) {
        let command = KeepUnknownText {
            inbound_id: InboundId::derived(INSTALLATION.0, &notice.sid),
            number,
            body: notice.body,
            provider_id: notice.sid.clone(),
            received_at,
        };
        engine.execute(command, &ask(INSTALLATION, "twilio", &notice.sid)).await?;
    }
    // After a crash half-way one of them may have the answer already.
    let taken_in = |stream: &Stream| stream.consent.answers(stream.command.inbound_id);
    if !streams.iter().any(|stream| taken_in(stream) == Some(true))
        && let Some(first) = streams
            .iter_mut()
            .filter(|stream| !stream.erased && taken_in(stream).is_none())
            .min_by_key(|stream| stream.consent.concern(stream.key, &stream.command))
    {
        first.command.answers = true;
    }
    let all_erased = !streams.is_empty() && streams.iter().all(|stream| stream.erased);
    for Stream { organization, command, .. } in streams {
        engine.execute(command, &ask(organization, "twilio", &notice.sid)).await?;
    }
    Ok(if all_erased { Verdict::Forgotten } else { Verdict::Done })
}
