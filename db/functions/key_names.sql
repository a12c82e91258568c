create or replace function flux.key_names(target text)
    returns text[]
    language sql
    stable
    set search_path = ''
as $$
    select case
        when to_regclass(target) is not null then coalesce(flux.key_columns(to_regclass(target)), '{}')
        else array(
            select jsonb_object_keys(last_write.row_key)
            from (
                select mutation.row_key
                from flux.state_mutations as mutation
                where mutation.table_name = target
                    and mutation.row_key is not null
                order by mutation.id desc
                limit 1
            ) as last_write
        )
    end
$$;

comment on function flux.key_names(text) is
    'The columns that name a row of a table; for a table that is gone, those of its record.';
