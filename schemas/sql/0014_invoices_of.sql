-- The invoices of a resident, for credit that comes: by the log itself, so that none is missed.
set role propty_owner;
create index events_invoices_of on log.events (organization_id, (payload #>> '{InvoiceDrafted,resident_id}'))
    where event_type = 'InvoiceDrafted';
reset role;
