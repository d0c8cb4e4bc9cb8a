//! English, as written in the United States and Canada.

use super::{AutopayWording, InvoiceWording, PaymentWording, ReminderWording, SignInWording, WebhookWording, Wording};

pub const WORDING: Wording = Wording {
    tag: "en",
    colon: ":",
    greeting: |name| format!("Hello {name},"),
    closing: "Kind regards,",
    link_fallback: "If the button does not work, open this link:",
    questions: |contact| format!("Questions? Reply to this email or write to {contact}."),
    no_replies: "Please do not reply to this email: this mailbox is not monitored.",
    portal: "Resident portal",
    because: |community| format!("You are receiving this email because your address is on file with {community}."),
    invoice: InvoiceWording {
        subject: |title, balance, due| format!("{title}: {balance} due {due}"),
        subject_settled: |title| format!("{title}: new invoice, nothing to pay"),
        intro: "You have a new invoice. Here are the details.",
        settled: "This invoice is already paid in full. There is nothing for you to do.",
        unit: "Unit",
        due_on: "Due date",
        item: "Item",
        amount: "Amount",
        total: "Total",
        balance: "Balance due",
        pay: "View and pay",
        view: "View invoice",
    },
    payment: PaymentWording {
        subject: |amount, title| format!("Payment received: {amount} for {title}"),
        intro: "Thank you! We have received your payment.",
        settled: "This invoice is now paid in full.",
        remaining: |balance| format!("A balance of {balance} remains on this invoice."),
        invoice: "Invoice",
        unit: "Unit",
        amount: "Amount",
        fee: "Processing fee",
        charged: "Total charged",
        method: "Payment method",
        card: "Card",
        bank: "Bank",
        online: "Online payment",
        cash: "Cash",
        check: "Check",
        other: "Other",
        received_on: "Received on",
        balance: "Remaining balance",
        receipt: "Please keep this email as your receipt.",
        view: "View invoice",
    },
    sign_in: SignInWording {
        subject: |organization| format!("Your sign-in link for {organization}"),
        intro: "Use the link below to sign in to your resident portal.",
        expiry: |minutes| match minutes {
            1 => "It works once and expires in 1 minute.".to_owned(),
            _ => format!("It works once and expires in {minutes} minutes."),
        },
        unasked: "If you did not ask for this link, you can ignore this email. Please do not forward it: anyone who \
                  has the link can sign in as you.",
        sign_in: "Sign in",
    },
    reminder: ReminderWording {
        subject: |title, balance, due| format!("Reminder: {title}, {balance} due {due}"),
        subject_overdue: |title, balance, due| format!("Overdue: {title}, {balance} was due {due}"),
        subject_settled: |title| format!("{title}: already paid, nothing to do"),
        intro: "This is a friendly reminder that the following invoice is due soon.",
        intro_overdue: |due| format!("The following invoice was due on {due} and has not been paid in full yet."),
        thanks: "If you have paid in the meantime, thank you. You can ignore this reminder.",
    },
    autopay: AutopayWording {
        manage: "Manage Autopay",
        ahead_subject: |amount, day, title| format!("Autopay on {day}: {amount} for {title}"),
        ahead_intro: |day| format!("Autopay will pay this invoice for you on {day}. You do not need to do anything."),
        to_charge: "Total to be charged",
        charge_on: "Charge date",
        open_balance: "We charge what is still open on that day, so anything you pay before then is not charged again.",
        change: |day| format!("To change your payment method or to cancel Autopay, use the link below before {day}."),
        held_subject: |amount, title| format!("Your approval is needed: {amount} for {title}"),
        held_intro: "This invoice is above the limit that you set for Autopay, so we ask you first. Nothing is charged \
                     until you approve.",
        cap: "Your Autopay limit",
        held_options: "You can approve this charge or pay the invoice another way. A processing fee, if there is one, \
                       is added to the amount. If you do neither, the invoice stays unpaid.",
        approve: "Review and approve",
        change_cap: "Change your Autopay limit",
        charged_subject: |amount, title| format!("Autopay payment: {amount} for {title}"),
        charged_intro: "Thank you! We have received your Autopay payment.",
        charged_on: "Charged on",
        failed_subject: |amount, title| format!("Autopay payment failed: {amount} for {title}"),
        ended_subject: |title| format!("Action needed: Autopay could not pay {title}"),
        failed_intro: "Autopay could not charge your payment method for this invoice.",
        returned_intro: "Your bank returned the Autopay debit for this invoice, so the invoice is open again.",
        reason: "Reason",
        next: "Next attempt",
        left: "Attempts left",
        again: |day| {
            format!(
                "We will try again on {day}. You do not need to do anything if your payment method works by then. If you \
                 would rather not wait, pay now or update your payment method."
            )
        },
        waits: "We will try again once Autopay is active again. If you would rather not wait, pay now or update your \
                payment method.",
        confirm: "We will not try again, because your bank wants you to confirm this payment yourself. Please use the \
                  link below to pay, and confirm the payment when your bank asks you to.",
        ended: "We will not try again. Please pay this invoice yourself, then reactivate Autopay with a new or updated \
                payment method.",
        alone: "We will not try again. Please pay this invoice yourself.",
        paused: "Autopay is paused. Until it is active again, your other invoices are not charged automatically.",
        paused_until_paid: "Autopay is paused until this invoice is paid. Your other invoices are not charged \
                            automatically before then.",
        paused_subject: "Action needed: Autopay is paused",
        paused_intro: "Autopay is paused because your payment method cannot be charged any more.",
        paused_waits: "Please set up a new payment method. Until then nothing is charged automatically. Invoices that \
                       fall due in the meantime are charged as soon as Autopay is active again.",
        paused_by_hand: "If you would rather not wait, pay your invoices yourself in the resident portal. What you pay \
                         yourself is not charged again.",
        set_up: "Set up a new payment method",
        pay_now: "Pay now",
        update: "Update payment method",
        reactivate: "Reactivate Autopay",
    },
    webhook: WebhookWording {
        subject: |host| format!("Action needed: your webhook to {host} is switched off"),
        intro_gone: "Your webhook is switched off, because its receiver answered that it is gone (410).",
        intro_failing: |day| {
            format!("Your webhook is switched off, because its receiver has accepted nothing since {day}.")
        },
        receiver: "Receiver",
        description: "Description",
        kept: "Nothing is lost: events are kept, and are sent in their order once the webhook is enabled again.",
        mend: "Please mend the receiver, send it a test event, then enable the webhook.",
        view: "View the attempts",
        because: |organization| {
            format!("You are receiving this email because your address is the contact of a webhook of {organization}.")
        },
    },
};
