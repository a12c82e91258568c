create type mpaa_rating as enum ('G', 'PG', 'PG-13', 'R', 'NC-17');
create domain year as integer check (value >= 1901 and value <= 2155);
create aggregate group_concat(text) (sfunc = textcat, stype = text);
create table language (language_id serial primary key, name char(20) not null, last_update timestamptz default now());
create table country (country_id serial primary key, country text not null);
create table city (city_id serial primary key, city text not null, country_id int not null references country);
create table address (
    address_id serial primary key, address text not null, address2 text, district text not null,
    city_id int not null references city, postal_code text, phone text not null
);
create table store (store_id serial primary key, manager_staff_id int not null, address_id int not null references address);
create table staff (
    staff_id serial primary key, first_name text not null, last_name text not null,
    address_id int not null references address, email text, store_id int not null references store,
    active boolean default true, username text not null, password text, picture bytea
);
create table customer (
    customer_id serial primary key, store_id int not null references store, first_name text not null,
    last_name text not null, email text, address_id int not null references address,
    activebool boolean default true not null, create_date date default current_date not null, active int
);
create table actor (actor_id serial primary key, first_name text not null, last_name text not null);
create table category (category_id serial primary key, name text not null);
create table film (
    film_id serial primary key, title text not null, description text, release_year year,
    language_id int not null references language, original_language_id int references language,
    rental_duration smallint default 3 not null, rental_rate numeric(4, 2) default 4.99 not null, length smallint,
    replacement_cost numeric(5, 2) default 19.99 not null, rating mpaa_rating default 'G', special_features text[],
    fulltext tsvector
);
create table film_actor (
    actor_id int references actor, film_id int references film, primary key (actor_id, film_id)
);
create table film_category (
    film_id int references film, category_id int references category, primary key (film_id, category_id)
);
create table inventory (
    inventory_id serial primary key, film_id int not null references film, store_id int not null references store
);
create table rental (
    rental_id serial primary key, rental_date timestamptz not null, inventory_id int not null references inventory,
    customer_id int not null references customer, return_date timestamptz, staff_id int not null references staff
);
create table payment (
    payment_id serial, customer_id int not null references customer, staff_id int not null references staff,
    rental_id int not null references rental, amount numeric(5, 2) not null, payment_date timestamptz not null,
    primary key (payment_date, payment_id)
) partition by range (payment_date);
create table payment_p2022_01 partition of payment for values from ('2022-01-01') to ('2022-02-01');
create function inventory_in_stock(p_inventory_id integer) returns boolean language sql stable as $$
    select not exists (select from rental where inventory_id = p_inventory_id and return_date is null)
$$;
