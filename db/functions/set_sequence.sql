create or replace function flux.set_sequence(
    sequence_name text,
    target        text,
    column_name   text,
    wanted        bigint default null
)
    returns void
    language plpgsql
    volatile
    set search_path = ''
as $$
declare
    sequence regclass := to_regclass(sequence_name);
    relation regclass := to_regclass(target);
    taken    boolean;
    highest  bigint;
begin
    if sequence is null or relation is null then
        return;
    end if;

    if wanted is not null then
        execute format('select exists (select from %s where %I = $1)', relation, column_name) into taken using wanted;

        if not taken then
            perform setval(sequence, wanted, false);
            return;
        end if;
    end if;

    execute format('select max(%I) from %s', column_name, relation) into highest;

    if highest is not null and (taken or highest >= coalesce(pg_sequence_last_value(sequence), 0)) then
        perform setval(sequence, highest);
    end if;
end
$$;

comment on function flux.set_sequence(text, text, text, bigint) is
    'Makes a sequence give a wanted number next or, where the column has that already or none is wanted, one above all that are there. For sandboxes.';

revoke all on function flux.set_sequence(text, text, text, bigint) from public;
