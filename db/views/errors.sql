create or replace view flux.errors as
select
    error.times,
    error.first_seen,
    error.last_seen,
    array_to_string(error.functions, ', ') as functions,
    concat_ws(': ', regexp_replace(error.error_type, '^.*\.', ''), error.error_message) as error,
    error.error_location as location,
    'req:' || left(error.last_request_id::text, 8) as example,
    error.signature
from flux.errors_since() as error;

comment on view flux.errors is
    'Failed requests grouped by what they share, latest first. Next: flux why with the example of one.';
comment on column flux.errors.times is 'How often it came.';
comment on column flux.errors.first_seen is 'When it came first.';
comment on column flux.errors.last_seen is 'When it came last.';
comment on column flux.errors.functions is 'Functions in which it came.';
comment on column flux.errors.error is 'Class and message, of the last one.';
comment on column flux.errors.location is 'file:line in the user''s code.';
comment on column flux.errors.example is 'The last request that failed so, for flux why.';
comment on column flux.errors.signature is 'What these errors share, hashed.';

grant select on flux.errors to flux_reader;
