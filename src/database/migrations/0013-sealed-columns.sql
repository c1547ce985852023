-- The business key of an effect, to be shown, where `key` only stands for it.
alter table baton.effects add column sealed_key text;

-- Of a sealed address the host is not told; what stands for it comes last.
alter table baton.webhook_deliveries drop column host;
alter table baton.webhook_deliveries add column host text not null generated always as (
  case when starts_with(url, 'sealed:') then split_part(url, ':', 4)
  else coalesce(lower(substring(url from '^https?://(?:[^/?#]*@)?([^/?#]+)')), '') end
) stored;
