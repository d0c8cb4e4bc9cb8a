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
}
