create or replace function flux.request_mutations(request uuid)
    returns setof flux.state_mutations
    language sql
    stable
as $$
    select written.*
    from flux.state_mutations as written
    where written.request_id = request

    union all

    select replayed.*
    from flux.replay_mutations as replayed
    where replayed.request_id = request
$$;

comment on function flux.request_mutations(uuid) is
    'What one request wrote, a replay''s writes in its sandbox too. Has no settings, so that callers inline it.';
