create or replace function flux.recorder_update_source(target regclass)
    returns text
    language sql
    stable
    set search_path = ''
as $$
    with columns as (
        select
            stored.place,
            stored.name = any (flux.key_columns(target)) as in_key,
            flux.changed_value(format('old.%I', stored.name), format('new.%I', stored.name), stored.type) as changed,
            flux.encoded_row(target, 'old', array[stored.name]) as old_value,
            flux.encoded_row(target, 'new', array[stored.name]) as new_value
        from flux.stored_columns(target) as stored
    )

    select case
        when flux.key_columns(target) is null then
            format(
                $whole$
            old_values := %s;
            new_values := %s;$whole$,
                flux.encoded_row(target, 'old'),
                flux.encoded_row(target, 'new')
            )
        else
            format(
                $changes$
            row_key := %s;
            old_values := '{}';
            new_values := '{}';
%s

            if %s then
                previous_key := %s;
                old_values := %s;
            end if;$changes$,
                flux.encoded_key(target, 'new'),
                string_agg(
                    format(
                        $change$
            if %s then
                old_values := old_values || %s;
                new_values := new_values || %s;
            end if;$change$,
                        changed, old_value, new_value
                    ),
                    E'\n' order by place
                ),
                string_agg(changed, ' or ' order by place) filter (where in_key),
                flux.encoded_key(target, 'old'),
                flux.encoded_row(target, 'old')
            )
    end
    from columns
$$;

comment on function flux.recorder_update_source(regclass) is
    'The part of a recorder that is for updates: changed columns, and the whole row before it where its key changes or it has none.';
