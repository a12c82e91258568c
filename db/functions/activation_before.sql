create or replace function flux.activation_before(activation_id bigint, wanted integer)
    returns bigint
    language sql
    stable
    set search_path = ''
as $$
    with recursive back as (
        select activation.id, activation.version, activation.previous_id
        from flux.activations as activation
        where activation.id = activation_id

        union all

        select activation.id, activation.version, activation.previous_id
        from back
        join flux.activations as activation
            on activation.id = back.previous_id
        where back.version <> wanted
    )

    -- A version that was never run on this way back is a step forward: one goes back from it to where one was.
    select case when bool_or(back.version = wanted)
        then max(back.previous_id) filter (where back.version = wanted)
        else activation_id
    end
    from back
$$;

comment on function flux.activation_before(bigint, integer) is
    'Where a rollback to this version leads to when it is rolled back itself: to what ran before it, never to what was left.';
