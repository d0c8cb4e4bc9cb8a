//! Identifiers, one type per aggregate.

ids! {
    /// The company that manages properties; the tenant boundary.
    OrganizationId,
    PropertyId,
    UnitId,
    ResidentId,
    InvoiceId,
    /// One attempt to pay an invoice, online or by hand.
    PaymentId,
    RefundId,
    StripeAccountId,
    MessageId,
    SuppressionId,
    TokenId,
    /// A sign-in link and the session that it opens.
    SignInId,
    JobId,
    /// Autopay of one resident in one property.
    AutopayId,
    /// One attempt to set up a payment method for autopay.
    SetupId,
    /// What a resident has in credit at one property.
    CreditId,
    /// One gift of credit by a manager.
    GrantId,
    /// One text to a resident.
    TextId,
    /// One text from a telephone.
    InboundId,
    /// One showing of a disclosure to a person.
    ShownId,
    /// A telephone number's keyed hash: equal within an organization, and nothing else can be learnt from it.
    NumberKey,
    /// Where an organization's events are sent to.
    WebhookId,
    /// A secret that signs what is sent.
    SecretId,
}
